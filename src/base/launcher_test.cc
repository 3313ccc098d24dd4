#include "base/launcher.h"

#include "base/files.h"
#include "base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

namespace zorya::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::unique_ptr<Launcher> make_launcher() { return Launcher::create().value(); }

ChildSpec shell(const std::string& script) {
  ChildSpec spec;
  spec.argv = {"/bin/sh", "-c", script};
  spec.environment = {"PATH=/usr/bin:/bin"};
  return spec;
}

/// Waits until `condition` holds; false after five seconds.
template <typename Condition>
bool becomes_true(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + seconds(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

bool is_running(pid_t pid) { return ::kill(pid, 0) == 0; }

std::string run_output(const ChildSpec& spec) {
  auto launcher = make_launcher();
  auto result = launcher->run(spec, seconds(10));
  return result ? result->output : to_string(result.error());
}

TEST(Launcher, RunGivesOutputAndExitStatus) {
  auto launcher = make_launcher();
  auto result = launcher->run(shell("echo out; echo err >&2; exit 7"), seconds(10));
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->exit_status, 7);
  EXPECT_EQ(result->output, "out\nerr\n");
}

TEST(Launcher, DeathByASignalIs128PlusItsNumber) {
  auto launcher = make_launcher();
  EXPECT_EQ(launcher->run(shell("kill -TERM $$"), seconds(10))->exit_status, 128 + SIGTERM);
}

TEST(Launcher, OnlyTheLast64KiBOfOutputAreKept) {
  const std::string output =
      run_output(shell("head -c 300000 /dev/zero | tr '\\0' x; printf the-end"));
  EXPECT_EQ(output.size(), 64u * 1024);
  EXPECT_TRUE(output.ends_with("xthe-end"));
}

TEST(Launcher, TimeoutKillsTheWholeSessionAndSaysSo) {
  auto launcher = make_launcher();
  const std::filesystem::path file =
      "/tmp/zorya-launcher-test-" + std::to_string(::getpid()) + ".pid";
  // The second sleeper leaves the process group, though not the session.
  auto result = launcher->run(
      shell("set -m; sleep 1000 & echo $! > " + file.string() + "; set +m; sleep 1000"),
      milliseconds(300));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kDeadlineExceeded);
  const pid_t sleeper = std::stoi(read_file(file).value());
  EXPECT_TRUE(becomes_true([&] {
    // Killed; the test's machine may have no init that reaps it.
    auto stat = read_file("/proc/" + std::to_string(sleeper) + "/stat");
    return !stat || stat->find(") Z ") != std::string::npos;
  }));
  std::filesystem::remove(file);
}

TEST(Launcher, AReadableStopDescriptorEndsTheCommand) {
  auto launcher = make_launcher();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  ChildSpec spec = shell("sleep 1000");
  spec.stop_fd = read_end.get();
  EXPECT_EQ(launcher->run(spec, milliseconds(50)).error().code, Code::kDeadlineExceeded);
  write_end.reset();  // readable: the end of the file
  EXPECT_EQ(launcher->run(spec, seconds(100)).error().code, Code::kUnavailable);
}

TEST(Launcher, AGrandchildThatHoldsTheOutputDoesNotHoldUpRun) {
  auto launcher = make_launcher();
  const auto begin = std::chrono::steady_clock::now();
  auto result = launcher->run(shell("sleep 30 & echo $!"), seconds(20));
  ASSERT_TRUE(result);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10));
  ::kill(std::stoi(result->output), SIGKILL);
}

TEST(Launcher, FailuresNameTheStep) {
  auto launcher = make_launcher();
  ChildSpec absent;
  absent.argv = {"/no/such/program"};
  auto no_program = launcher->start(absent);
  ASSERT_FALSE(no_program);
  EXPECT_EQ(no_program.error().code, Code::kNotFound);
  EXPECT_EQ(no_program.error().message,
            "start /no/such/program: execute the program: No such file or directory");
  ChildSpec no_folder = shell("true");
  no_folder.working_folder = "/no/such/folder";
  EXPECT_EQ(launcher->start(no_folder).error().message,
            "start /bin/sh: enter the working folder: No such file or directory");
  EXPECT_EQ(launcher->start(ChildSpec{}).error().code, Code::kInvalidArgument);
}

TEST(Launcher, TheEnvironmentIsWhatWasGivenAndNoMore) {
  ::setenv("ZORYA_LEAK", "1", 1);
  ChildSpec spec;
  spec.argv = {"/usr/bin/env"};
  spec.environment = {"A=1", "B=2"};
  EXPECT_EQ(run_output(spec), "A=1\nB=2\n");
}

TEST(Launcher, DescriptorsGoWhereAskedAndAllOthersClose) {
  std::array<int, 2> first{};
  std::array<int, 2> second{};
  ASSERT_EQ(::pipe(first.data()), 0);  // without CLOEXEC: would leak if nobody closed it
  ASSERT_EQ(::pipe(second.data()), 0);
  auto launcher = make_launcher();
  // Crosswise on purpose: each one's number in the child is the other's number here.
  ChildSpec spec =
      shell("echo one >&" + std::to_string(second[1]) + "; echo two >&" + std::to_string(first[1]) +
            "; ls /proc/self/fd | tr '\\n' ' ' >&" + std::to_string(first[1]));
  spec.argv[0] = "/bin/bash";
  spec.descriptors = {{first[1], second[1]}, {second[1], first[1]}};
  auto child = launcher->start(spec);
  ASSERT_TRUE(child) << child.error().message;
  ASSERT_TRUE(child->wait_for(seconds(10)).has_value());
  char text[256];
  ssize_t got = ::read(first[0], text, sizeof text);
  EXPECT_EQ(std::string(text, static_cast<std::size_t>(got)), "one\n");
  got = ::read(second[0], text, sizeof text);
  std::string listing(text, static_cast<std::size_t>(got));
  ASSERT_TRUE(listing.starts_with("two\n")) << listing;
  // 0, 1 (to tr), 2, the two asked for, and ls's own.
  EXPECT_EQ(std::count(listing.begin(), listing.end(), ' '), 6) << listing;
  for (const int fd : {first[0], first[1], second[0], second[1]}) ::close(fd);
}

TEST(Launcher, StandardDescriptorsNotNamedAreTheNullDevice) {
  EXPECT_EQ(run_output(shell("readlink /proc/self/fd/0")), "/dev/null\n");
}

TEST(Launcher, SignalsStartFresh) {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const std::string output = run_output(shell("exec grep -E 'SigBlk|SigIgn' /proc/self/status"));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  EXPECT_EQ(output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(Launcher, AsRootTheChildIsTheUserAskedForWithoutGroups) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ChildSpec spec = shell("id -u; id -g; id -G");
  spec.uid = 65534;
  spec.gid = 65534;
  EXPECT_EQ(run_output(spec), "65534\n65534\n65534\n");
}

TEST(Launcher, AsAPlainUserChangingTheUserFails) {
  if (::geteuid() == 0) GTEST_SKIP() << "needs a plain user";
  ChildSpec spec = shell("true");
  spec.uid = 0;
  EXPECT_EQ(make_launcher()->start(spec).error().code, Code::kPermissionDenied);
}

TEST(Launcher, WaitForAnswersNothingWhileTheChildRunsAndItsStatusAfterwards) {
  auto launcher = make_launcher();
  auto child = launcher->start(shell("read line"));  // standard input is empty: ends at once
  ASSERT_TRUE(child);
  auto status = child->wait_for(seconds(10));
  ASSERT_TRUE(status);
  EXPECT_EQ(child->wait_for(milliseconds(0)), status);
  auto sleeper = launcher->start(shell("sleep 1000"));
  ASSERT_TRUE(sleeper);
  EXPECT_FALSE(sleeper->wait_for(milliseconds(20)).has_value());
  sleeper->signal(SIGTERM);
  status = sleeper->wait_for(seconds(10));
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFSIGNALED(*status) && WTERMSIG(*status) == SIGTERM);
  sleeper->signal(SIGTERM);  // has ended: no error, and nobody else is hit
}

TEST(Launcher, APidfdIsReadableWhenTheChildHasEnded) {
  auto launcher = make_launcher();
  auto child = launcher->start(shell("exit 0"));
  ASSERT_TRUE(child);
  pollfd wait{child->pidfd(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 10'000), 1);
}

TEST(Launcher, DestroyingAChildEndsItAndLeavesNoZombie) {
  auto launcher = make_launcher();
  pid_t pid = 0;
  {
    auto child = launcher->start(shell("exec sleep 1000"));
    ASSERT_TRUE(child);
    pid = child->pid();
    Child moved = std::move(*child);  // the moved-from one must not kill
    EXPECT_TRUE(is_running(moved.pid()));
  }
  EXPECT_FALSE(is_running(pid));
}

TEST(Launcher, ChildrenOutliveTheThreadThatAskedForThem) {
  auto launcher = make_launcher();
  std::optional<Child> child;
  std::thread([&] { child.emplace(launcher->start(shell("exec sleep 1000")).value()); }).join();
  EXPECT_FALSE(child->wait_for(milliseconds(50)).has_value());
}

TEST(Launcher, RunOnThreadIsAlwaysTheSameThread) {
  auto launcher = make_launcher();
  std::thread::id first;
  std::thread::id second;
  launcher->run_on_thread([&] { first = std::this_thread::get_id(); });
  std::thread([&] {
    launcher->run_on_thread([&] { second = std::this_thread::get_id(); });
  }).join();
  EXPECT_EQ(first, second);
  EXPECT_NE(first, std::this_thread::get_id());
}

/// Starts `spec` from a process of its own, kills that process with SIGKILL, and gives the child's
/// pid, or 0 if it could not be started.
pid_t start_in_a_process_that_is_killed(const ChildSpec& spec) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return 0;
  const pid_t starter = ::fork();
  if (starter == 0) {
    auto launcher = make_launcher();
    auto child = launcher->start(spec);
    const pid_t pid = child ? child->pid() : 0;
    if (::write(ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
    while (true) ::pause();
  }
  pid_t pid = 0;
  if (::read(ends[0], &pid, sizeof pid) != sizeof pid) pid = 0;
  ::kill(starter, SIGKILL);
  ::waitpid(starter, nullptr, 0);
  ::close(ends[0]);
  ::close(ends[1]);
  return pid;
}

bool ends(pid_t pid) {
  return becomes_true([&] {
    auto stat = read_file("/proc/" + std::to_string(pid) + "/stat");
    return !stat || stat->find(") Z ") != std::string::npos;
  });
}

TEST(Launcher, ChildrenDieWhenWeAreKilled) {
  const pid_t pid = start_in_a_process_that_is_killed(shell("exec sleep 1000"));
  ASSERT_NE(pid, 0);
  EXPECT_TRUE(ends(pid));
}

TEST(Launcher, ChildrenOfAnotherUserDieToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ChildSpec spec = shell("exec sleep 1000");
  spec.uid = 65534;
  spec.gid = 65534;
  const pid_t pid = start_in_a_process_that_is_killed(spec);
  ASSERT_NE(pid, 0);
  EXPECT_TRUE(ends(pid));
}

TEST(Process, FindsWhoWorksInAFolderByProgram) {
  const std::filesystem::path folder = "/tmp/zorya-process-test-" + std::to_string(::getpid());
  std::filesystem::create_directory(folder);
  auto launcher = make_launcher();
  ChildSpec spec;
  spec.argv = {"/bin/sleep", "1000"};
  spec.working_folder = folder;
  auto child = launcher->start(spec);
  ASSERT_TRUE(child);
  EXPECT_EQ(processes_working_in(folder, "sleep"), std::vector<pid_t>{child->pid()});
  EXPECT_TRUE(processes_working_in(folder, "postgres").empty());
  EXPECT_TRUE(processes_working_in("/no/such/folder", "sleep").empty());
  EXPECT_TRUE(kill_and_wait({child->pid()}, seconds(5)));
  EXPECT_TRUE(child->wait_for(seconds(5)).has_value());
  std::filesystem::remove(folder);
}

}  // namespace
}  // namespace zorya::base
