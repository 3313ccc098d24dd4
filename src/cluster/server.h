#pragma once

#include "base/launcher.h"
#include "base/result.h"
#include "cluster/account.h"
#include "cluster/server_log.h"
#include "cluster/settings.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace zorya::cluster {

/// Everything that one private server is started with.
struct ServerSpec {
  std::filesystem::path program;        // PostgreSQL's postgres
  std::filesystem::path data_folder;    // PGDATA
  std::filesystem::path socket_folder;  // made at start
  std::filesystem::path rules_file;     // pg_hba.conf, written at start
  OwnerDoor owner_door = OwnerDoor::kClosed;
  std::filesystem::path log_file;
  std::filesystem::path library_folder;  // dynamic_library_path
  Settings settings;
  std::vector<std::string> environment;  // beside what each server has
  Account account;
};

/// A server process from its start to its end. One thread.
class Server {
 public:
  Server(Server&&) noexcept = default;
  Server& operator=(Server&&) = delete;
  /// Immediate shutdown if it still runs: a killed one would leave its shared memory behind.
  ~Server();

  /// Ends leftovers, starts the process. It does not serve yet. `launcher` outlives the result;
  /// `log` too.
  static base::Result<Server> start(const ServerSpec& spec, base::Launcher& launcher,
                                    ServerLog& log);

  [[nodiscard]] pid_t pid() const { return child_.pid(); }

  enum class Event { kEnded, kTimeout, kWoken };
  /// Takes log lines until the server ends, `timeout` is over, or `wake_fd` (may be -1) is
  /// readable.
  Event wait(std::chrono::milliseconds timeout, int wake_fd);

  /// Waits until it lets `role` in: nothing, or why not (it ended, or `timeout` is over). Gives up
  /// early with kUnavailable when `wake_fd` is readable.
  base::Result<void> wait_until_serving(std::string_view role, std::chrono::milliseconds timeout,
                                        int wake_fd);

  /// Fast shutdown (immediate while it recovers); after `patience` immediate, then SIGKILL. Returns
  /// when it is gone.
  void stop(std::chrono::milliseconds patience);

  /// How it ended, in words with PostgreSQL's last ones: "exit code 1: could not ...".
  std::string end_reason();

 private:
  Server(base::Child child, base::UniqueFd log_read, ServerLog& log,
         std::filesystem::path socket_folder)
      : child_(std::move(child)),
        log_read_(std::move(log_read)),
        log_(&log),
        socket_folder_(std::move(socket_folder)) {}

  base::Child child_;
  base::UniqueFd log_read_;
  ServerLog* log_;
  std::filesystem::path socket_folder_;
};

}  // namespace zorya::cluster
