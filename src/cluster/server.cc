#include "cluster/server.h"

#include "base/clock.h"
#include "base/files.h"
#include "cluster/connection.h"
#include "cluster/folders.h"
#include "cluster/leftover.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kProbeTimeout{1000};
// A start takes some 50 ms; a recovery may take minutes, and each probe is a line in the log.
constexpr milliseconds kProbeEvery{4};
constexpr milliseconds kProbeEverySlow{50};
constexpr int kQuickProbes = 50;
constexpr milliseconds kHarderTimeout{3000};
constexpr milliseconds kLookEvery{50};

milliseconds left_until(std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - base::system_clock().steady_now());
  return std::max(left, milliseconds(0));
}

std::vector<std::string> server_arguments(const ServerSpec& spec) {
  std::vector<std::string> argv = {spec.program.string(), "-D", spec.data_folder.string()};
  Settings settings = spec.settings;
  settings.insert(settings.end(), {{"listen_addresses", ""},
                                   {"unix_socket_directories", spec.socket_folder.string()},
                                   {"unix_socket_permissions", "0600"},
                                   {"hba_file", spec.rules_file.string()},
                                   {"dynamic_library_path", spec.library_folder.string()}});
  for (const auto& [key, value] : settings) {
    argv.emplace_back("-c");
    argv.push_back(std::string(key).append("=").append(value));
  }
  return argv;
}

/// Owned by us and readable by the server's user: it must not be able to open its own door. Written
/// only where they differ, for a file that is synced costs a start some milliseconds.
base::Result<void> write_rules(const ServerSpec& spec) {
  const std::string rules = access_rules(spec.owner_door);
  const auto present = base::read_file(spec.rules_file, 65536);
  if (!present || *present != rules) {
    ZORYA_TRY(base::write_file_atomically(spec.rules_file, rules, 0640));
  }
  if (spec.account.is_other() &&
      ::chown(spec.rules_file.c_str(), ::geteuid(), *spec.account.gid) != 0) {
    return base::errno_error("chown " + spec.rules_file.string(), errno);
  }
  return {};
}

/// A socket's lock file holds the pid of a server that is gone, which may be anybody's by now.
void remove_stale_socket(const fs::path& socket_folder) {
  for (const char* name : {".s.PGSQL.5432", ".s.PGSQL.5432.lock"}) {
    ::unlink((socket_folder / name).c_str());
  }
}

}  // namespace

base::Result<Server> Server::start(const ServerSpec& spec, base::Launcher& launcher,
                                   ServerLog& log) {
  // `Clusters::open` looked for processes without a pid file; here one tells of our own dead
  // server.
  std::error_code error;
  if (fs::exists(spec.data_folder / "postmaster.pid", error)) {
    ZORYA_TRY(end_leftover_server(spec.data_folder));
  }
  ZORYA_TRY(prepare_socket_folder(spec.socket_folder, spec.account));
  remove_stale_socket(spec.socket_folder);
  ZORYA_TRY(write_rules(spec));

  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return base::errno_error("make a pipe", errno);
  base::UniqueFd log_read(ends[0]);
  base::UniqueFd log_write(ends[1]);
  ::fcntl(log_read.get(), F_SETFL, O_NONBLOCK);

  base::ChildSpec child = command_as(spec.account, server_arguments(spec));
  child.environment.insert(child.environment.end(), spec.environment.begin(),
                           spec.environment.end());
  child.working_folder = spec.data_folder;
  child.descriptors = {{log_write.get(), 1}, {log_write.get(), 2}};
  // Immediate shutdown: with us gone the backends go too and no shared memory is left behind.
  child.death_signal = SIGQUIT;
  log.forget_lines();
  ZORYA_ASSIGN(base::Child process, launcher.start(std::move(child)));
  return Server(std::move(process), std::move(log_read), log, spec.socket_folder);
}

Server::~Server() {
  const bool moved_from = child_.pid() == 0;
  if (!moved_from && !child_.wait_for(milliseconds(0))) stop(milliseconds(0));
}

Server::Event Server::wait(milliseconds timeout, int wake_fd) {
  const auto deadline = base::system_clock().steady_now() + timeout;
  while (true) {
    std::array<pollfd, 3> waits{{{child_.pidfd(), POLLIN, 0},
                                 {log_read_.get(), POLLIN, 0},  // -1 when closed: ignored
                                 {wake_fd, POLLIN, 0}}};
    const milliseconds left = left_until(deadline);
    const int ready = ::poll(waits.data(), waits.size(), static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (waits[1].revents != 0 && !log_->take_from(log_read_.get())) log_read_.reset();
    if (waits[0].revents != 0) {
      if (log_read_) log_->take_from(log_read_.get());
      return Event::kEnded;
    }
    if (waits[2].revents != 0) return Event::kWoken;
    if (left.count() == 0) return Event::kTimeout;
  }
}

base::Result<void> Server::wait_until_serving(std::string_view role, milliseconds timeout,
                                              int wake_fd) {
  const auto deadline = base::system_clock().steady_now() + timeout;
  std::string last = "no answer";
  for (int probes = 0; left_until(deadline).count() > 0; ++probes) {
    switch (wait(probes < kQuickProbes ? kProbeEvery : kProbeEverySlow, wake_fd)) {
      case Event::kEnded:
        return base::Error{base::Code::kUnavailable, end_reason(), {}};
      case Event::kWoken:
        return base::Error{base::Code::kUnavailable, "it was told to stop", {}};
      case Event::kTimeout:
        break;
    }
    // A login is the only proof that a server serves.
    auto let_in = Connection::open(socket_folder_, role, kProbeTimeout);
    if (let_in) return {};
    last = let_in.error().message;
  }
  return base::Error{base::Code::kDeadlineExceeded, "it does not serve in time: " + last, {}};
}

void Server::stop(milliseconds patience) {
  // PostgreSQL 15 was seen to hang in a fast shutdown that met the recovery after a backend's
  // crash. An immediate one costs nothing then: the next start recovers again.
  const auto deadline = base::system_clock().steady_now() + patience;
  Event event = wait(milliseconds(0), -1);
  if (event != Event::kEnded && !log_->tells_of_recovery()) child_.signal(SIGINT);
  while (event != Event::kEnded && !log_->tells_of_recovery() && left_until(deadline).count() > 0) {
    event = wait(std::min(left_until(deadline), kLookEvery), -1);
  }
  if (event != Event::kEnded) {
    child_.signal(SIGQUIT);
    if (wait(kHarderTimeout, -1) != Event::kEnded) child_.signal(SIGKILL);
  }
  child_.wait_for(kHarderTimeout);
}

std::string Server::end_reason() {
  const std::optional<int> status = child_.wait_for(kHarderTimeout);
  std::string text = "it still runs";
  if (status && WIFEXITED(*status)) text = "exit code " + std::to_string(WEXITSTATUS(*status));
  if (status && WIFSIGNALED(*status)) text = "signal " + std::to_string(WTERMSIG(*status));
  const std::string words = log_->last_words();
  return words.empty() ? text : text + ": " + words;
}

}  // namespace zorya::cluster
