#include "base/launcher.h"

#include "base/check.h"
#include "base/process.h"
#include "base/workers.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <future>
#include <memory>
#include <system_error>

namespace zorya::base {
namespace {

constexpr std::size_t kOutputBytesMax = std::size_t{64} << 10;

/// The steps of a start, as the child reports the one that failed.
enum class Step : int {
  kSession,
  kDescriptors,
  kGroups,
  kGroup,
  kUser,
  kFolder,
  kParent,
  kProgram
};

const char* step_text(Step step) {
  switch (step) {
    case Step::kSession:
      return "make a session";
    case Step::kDescriptors:
      return "arrange descriptors";
    case Step::kGroups:
      return "clear groups";
    case Step::kGroup:
      return "become the group";
    case Step::kUser:
      return "become the user";
    case Step::kFolder:
      return "enter the working folder";
    case Step::kParent:
      return "tie it to its parent";
    case Step::kProgram:
      return "execute the program";
  }
  return "start";
}

struct Failure {
  Step step;
  int errno_value;
};

/// All that the child needs, made before: between its start and its exec only async-signal-safe
/// calls are allowed, for another thread may hold any lock, and the memory is shared.
struct Prepared {
  explicit Prepared(const ChildSpec& child) : spec(child) {
    for (const std::string& argument : spec.argv)
      argv.push_back(const_cast<char*>(argument.c_str()));
    for (const std::string& entry : spec.environment) {
      environment.push_back(const_cast<char*>(entry.c_str()));
    }
    argv.push_back(nullptr);
    environment.push_back(nullptr);
    moved.resize(spec.descriptors.size());
    for (const auto& [ours, childs] : spec.descriptors)
      first_free = std::max(first_free, childs + 1);
  }

  const ChildSpec& spec;
  std::vector<char*> argv;
  std::vector<char*> environment;
  std::vector<int> moved;
  int first_free = 3;  // above every number the child wants
  pid_t parent = ::getpid();
};

[[noreturn]] void fail(int report, Step step) {
  const Failure failure{step, errno};
  [[maybe_unused]] const ssize_t written = ::write(report, &failure, sizeof failure);
  ::_exit(127);
}

/// By the raw call: the C library's own refuses the two signals that it keeps for itself, and
/// whoever started us may have left them ignored.
void reset_signals() {
  // The kernel's struct sigaction: handler SIG_DFL, no flags, no restorer, an empty mask of 64
  // bits.
  const unsigned long action[4] = {};
  for (int signal = 1; signal < NSIG; ++signal) {
    ::syscall(SYS_rt_sigaction, signal, action, nullptr, sizeof(std::uint64_t));
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// Puts every descriptor at its number. They are moved out of the way first, for one's source may
/// be another's target; what was not asked for closes at exec.
int arrange_descriptors(Prepared& child, int report) {
  report = ::fcntl(report, F_DUPFD_CLOEXEC, child.first_free);
  if (report < 0) return -1;
  for (std::size_t i = 0; i < child.moved.size(); ++i) {
    child.moved[i] = ::fcntl(child.spec.descriptors[i].first, F_DUPFD_CLOEXEC, child.first_free);
    if (child.moved[i] < 0) fail(report, Step::kDescriptors);
  }
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) fail(report, Step::kDescriptors);
  const int null_moved = ::fcntl(null, F_DUPFD_CLOEXEC, child.first_free);
  if (null_moved < 0) fail(report, Step::kDescriptors);
  if (::syscall(SYS_close_range, 0U, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    fail(report, Step::kDescriptors);
  }
  for (int standard = 0; standard < 3; ++standard) {
    if (::dup2(null_moved, standard) < 0) fail(report, Step::kDescriptors);
  }
  for (std::size_t i = 0; i < child.moved.size(); ++i) {
    if (::dup2(child.moved[i], child.spec.descriptors[i].second) < 0) {
      fail(report, Step::kDescriptors);
    }
  }
  return report;
}

/// Raw calls: the C library's own would signal every thread of the parent's list.
void become_user(const ChildSpec& spec, int report) {
  if (spec.gid) {
    if (::syscall(SYS_setgroups, 0, nullptr) != 0) fail(report, Step::kGroups);
    if (::syscall(SYS_setresgid, *spec.gid, *spec.gid, *spec.gid) != 0) fail(report, Step::kGroup);
  }
  if (spec.uid && ::syscall(SYS_setresuid, *spec.uid, *spec.uid, *spec.uid) != 0) {
    fail(report, Step::kUser);
  }
}

[[noreturn]] void run_child(Prepared& child, int report) {
  reset_signals();
  if (child.spec.own_session && ::setsid() < 0) fail(report, Step::kSession);
  const int arranged = arrange_descriptors(child, report);
  if (arranged < 0) fail(report, Step::kDescriptors);
  report = arranged;
  become_user(child.spec, report);
  if (::chdir(child.spec.working_folder.c_str()) != 0) fail(report, Step::kFolder);
  // After the change of user, which clears it. A parent that ended before this line never signals.
  if (::prctl(PR_SET_PDEATHSIG, child.spec.death_signal) != 0) fail(report, Step::kParent);
  if (::getppid() != child.parent) {
    errno = ESRCH;
    fail(report, Step::kParent);
  }
  ::execve(child.argv[0], child.argv.data(), child.environment.data());
  fail(report, Step::kProgram);
}

Result<void> check_spec(const ChildSpec& spec) {
  if (spec.argv.empty() || spec.argv[0].empty()) {
    return Error{Code::kInvalidArgument, "start a child: no program given", {}};
  }
  for (const auto& [ours, childs] : spec.descriptors) {
    if (ours < 0 || childs < 0) {
      return Error{Code::kInvalidArgument, "start " + spec.argv[0] + ": bad descriptor", {}};
    }
  }
  return {};
}

struct ChildArguments {
  Prepared* prepared;
  int report;
};

int child_main(void* arguments) {
  const auto* child = static_cast<ChildArguments*>(arguments);
  run_child(*child->prepared, child->report);
}

/// A child that shares our memory until it executes its program, while this thread stands still:
/// fork would copy our page tables and make every thread of ours fault on what it writes next
/// (measured with 100 MB in use: 50 ms instead of 1.5). It has a stack of its own, and no handler
/// of ours runs in it.
pid_t clone_child(Prepared& prepared, int report) {
  constexpr std::size_t kStackBytes = std::size_t{256} << 10;
  const auto stack = std::make_unique<char[]>(kStackBytes);
  ChildArguments arguments{&prepared, report};
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const int dumpable = ::prctl(PR_GET_DUMPABLE);
#ifdef __SANITIZE_THREAD__  // it takes the child for a thread that it was never told of
  const pid_t pid = ::fork();
  if (pid == 0) child_main(&arguments);
#else
  const pid_t pid =
      ::clone(child_main, stack.get() + kStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD, &arguments);
#endif
  const int error = errno;
  // A child that became another user has cleared this for the memory it shared with us.
  if (::prctl(PR_GET_DUMPABLE) != dumpable) ::prctl(PR_SET_DUMPABLE, dumpable);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

/// Starts a child and waits for the exec (or its failure). On the launcher's thread.
Result<Child> spawn(const ChildSpec& spec) {
  ZORYA_TRY(check_spec(spec));
  const std::string what = "start " + spec.argv[0];
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errno_error(what, errno);
  UniqueFd report_read(ends[0]);
  UniqueFd report_write(ends[1]);
  Prepared prepared(spec);

  const pid_t pid = clone_child(prepared, report_write.get());
  if (pid < 0) return errno_error(what, errno);

  report_write.reset();
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const int pidfd_errno = errno;
  Failure failure{};
  ssize_t got = 0;
  do {
    got = ::read(report_read.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got == 0 && pidfd) return Child(pid, std::move(pidfd));

  ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (got == sizeof failure) {
    return errno_error(what + ": " + step_text(failure.step), failure.errno_value);
  }
  return errno_error(what, pidfd ? errno : pidfd_errno);
}

void keep_last(std::string& output, std::string_view more) {
  output.append(more);
  if (output.size() > kOutputBytesMax) output.erase(0, output.size() - kOutputBytesMax);
}

/// Reads what there is. False at the end of file.
bool drain(int fd, std::string& output) {
  char buffer[16384];
  while (true) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got > 0) keep_last(output, {buffer, static_cast<std::size_t>(got)});
    if (got == 0) return false;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return true;
  }
}

int exit_status_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

class ThreadLauncher final : public Launcher {
 public:
  Result<Child> start(ChildSpec spec) override {
    std::optional<Result<Child>> child;
    run_on_thread([&] { child.emplace(spawn(spec)); });
    return std::move(*child);
  }

  Result<CommandResult> run(ChildSpec spec, std::chrono::milliseconds timeout) override;

  void run_on_thread(const std::function<void()>& function) override {
    CHECK(!thread_.is_worker(), "the launcher's thread would wait for itself");
    // Shared: the waiter may be gone before set_value has returned.
    const auto done = std::make_shared<std::promise<void>>();
    auto finished = done->get_future();
    thread_.run([&function, done] {
      function();
      done->set_value();
    });
    finished.wait();
  }

 private:
  Workers thread_{1};
};

Result<CommandResult> ThreadLauncher::run(ChildSpec spec, std::chrono::milliseconds timeout) {
  const std::string what = "run " + (spec.argv.empty() ? std::string() : spec.argv[0]);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errno_error(what, errno);
  UniqueFd output_read(ends[0]);
  UniqueFd output_write(ends[1]);
  ::fcntl(output_read.get(), F_SETFL, O_NONBLOCK);
  spec.own_session = true;
  const int stop_fd = spec.stop_fd;
  spec.descriptors.emplace_back(output_write.get(), 1);
  spec.descriptors.emplace_back(output_write.get(), 2);
  ZORYA_ASSIGN(Child child, start(std::move(spec)));
  output_write.reset();

  CommandResult result;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  bool output_open = true;
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      kill_session(child.pid());
      return Error{Code::kDeadlineExceeded,
                   what + ": not done after " + std::to_string(timeout.count()) + " ms",
                   {}};
    }
    std::array<pollfd, 3> waits{{{child.pidfd(), POLLIN, 0},
                                 {output_open ? output_read.get() : -1, POLLIN, 0},
                                 {stop_fd, POLLIN, 0}}};
    const int left_ms = static_cast<int>(std::min<std::int64_t>(left.count(), 60'000));
    if (::poll(waits.data(), waits.size(), left_ms) < 0 && errno != EINTR) {
      return errno_error(what, errno);
    }
    if (waits[1].revents != 0) output_open = drain(output_read.get(), result.output);
    if (waits[0].revents != 0) break;
    if (waits[2].revents != 0) {
      kill_session(child.pid());
      return Error{Code::kUnavailable, what + ": stopped", {}};
    }
  }
  // A grandchild may hold the pipe open for ever: what is there at the command's end is its output.
  drain(output_read.get(), result.output);
  const std::optional<int> status = child.wait_for(std::chrono::milliseconds(0));
  CHECK(status.has_value(), "a readable pidfd of a child that still runs");
  result.exit_status = exit_status_of(*status);
  return result;
}

}  // namespace

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      pidfd_(std::move(other.pidfd_)),
      status_(std::exchange(other.status_, std::nullopt)) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = std::exchange(other.pid_, 0);
    pidfd_ = std::move(other.pidfd_);
    status_ = std::exchange(other.status_, std::nullopt);
  }
  return *this;
}

Child::~Child() { end(); }

void Child::end() {
  if (pid_ == 0 || status_) return;
  signal(SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

void Child::signal(int signal) const {
  if (pid_ == 0 || status_) return;
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

std::optional<int> Child::wait_for(std::chrono::milliseconds timeout) {
  if (status_ || pid_ == 0) return status_;
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd wait_for_end{pidfd_.get(), POLLIN, 0};
    const std::int64_t left_ms = std::clamp<std::int64_t>(left.count(), 0, 60'000);
    const int ready = ::poll(&wait_for_end, 1, static_cast<int>(left_ms));
    if (ready > 0) break;
    if (ready == 0 && left.count() <= left_ms) return std::nullopt;
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    CHECK(errno == EINTR, "a child of ours was reaped by someone else");
  }
  status_ = status;
  return status_;
}

Result<std::unique_ptr<Launcher>> Launcher::create() {
  try {
    return std::unique_ptr<Launcher>(std::make_unique<ThreadLauncher>());
  } catch (const std::system_error& error) {
    return errno_error("start the launcher's thread", error.code().value());
  }
}

}  // namespace zorya::base
