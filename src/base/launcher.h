#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace zorya::base {

/// What to start, and as whom.
struct ChildSpec {
  std::vector<std::string> argv;         // argv[0] is the path of the program; no PATH search
  std::vector<std::string> environment;  // "NAME=value"; the child gets these and no others
  std::filesystem::path working_folder = "/";
  std::optional<uid_t> uid;  // with gid: become this user (groups cleared); root only
  std::optional<gid_t> gid;
  std::vector<std::pair<int, int>>
      descriptors;          // {ours, child's}; 0, 1, 2 not named are /dev/null; all others close
  bool own_session = true;  // setsid
  /// run() only: when this descriptor becomes readable the command's session is killed, and the
  /// answer is kUnavailable. -1: nothing stops it before its time is over.
  int stop_fd = -1;
  /// What the child gets when we end, however we end.
  int death_signal = SIGKILL;
};

/// A started child. Destroying it kills (SIGKILL) and reaps it if it still runs.
class Child {
 public:
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Readable (poll) when the child has ended. Borrowed: lives as long as this object.
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  /// Sends `signal`; a child that has ended is no error.
  void signal(int signal) const;
  /// Waits up to `timeout` for the end and reaps. The wait status as in waitpid(2), or nothing if
  /// it still runs. One thread at a time.
  std::optional<int> wait_for(std::chrono::milliseconds timeout);

 private:
  void end();

  pid_t pid_;  // 0: moved from
  UniqueFd pidfd_;
  std::optional<int> status_;
};

/// What a command that ran to its end left behind.
struct CommandResult {
  int exit_status = 0;  // exit code, or 128 + signal
  std::string output;   // standard output and standard error, the last 64 KiB
};

/// Starts every child of this process from one thread that lives as long as this object, so that
/// PR_SET_PDEATHSIG (which follows the thread that forked, not the process) ends all children with
/// us, however we end. The signal is set after the change of user, which clears it. Methods may be
/// called from any thread and block until the child is started.
class Launcher {
 public:
  static Result<std::unique_ptr<Launcher>> create();
  virtual ~Launcher() = default;

  /// An error says which step of the start failed: change of user, working folder, program.
  virtual Result<Child> start(ChildSpec spec) = 0;

  /// Starts, waits up to `timeout` (then kills the whole session and answers kDeadlineExceeded),
  /// and gives the output. `spec` leaves descriptors 1 and 2 and own_session alone. Only the
  /// caller's thread waits; other children can be started meanwhile.
  virtual Result<CommandResult> run(ChildSpec spec, std::chrono::milliseconds timeout) = 0;

  /// Runs `function` on the launcher's thread and waits for it: for callers that clone(2) by
  /// themselves.
  virtual void run_on_thread(const std::function<void()>& function) = 0;
};

}  // namespace zorya::base
