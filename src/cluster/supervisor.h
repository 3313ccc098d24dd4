#pragma once

#include "base/launcher.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "cluster/client.h"
#include "cluster/server.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace zorya::cluster {

/// How hard to try. The defaults are the product's.
struct RestartRule {
  int attempts_max = 6;                       // failed starts in a row until kFailed
  std::chrono::milliseconds first_wait{100};  // doubles with each failed start
  std::chrono::milliseconds wait_max{5000};
  std::chrono::milliseconds retry_failed{
      15000};  // a failed one is tried again: a disk may be freed
  std::chrono::milliseconds healthy_after{10000};  // a server that ran so long ended its bad series
  std::chrono::milliseconds serve_timeout{120000};  // recovery included
};

/// Keeps one server running on a thread of its own: starts it, takes its log, starts it again when
/// it dies, until `stop`. Methods may be called from any thread.
class Supervisor {
 public:
  struct Status {
    State state = State::kCreating;
    std::string reason;        // of kFailed
    pid_t postmaster_pid = 0;  // 0: does not serve now
  };

  /// Begins at once. `launcher` outlives this.
  Supervisor(std::string id, ServerSpec spec, base::Launcher& launcher, RestartRule rule = {});
  ~Supervisor();  // stops
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  [[nodiscard]] Status status() const;

  /// Waits until it serves; an error when it has failed or was stopped. One that has failed already
  /// is tried again first.
  base::Result<void> wait_until_active();

  /// Asks for the end; `~Supervisor` waits for it. Idempotent.
  void stop();

 private:
  void run();
  base::Result<void> run_server_once();
  void wait_before_attempt(int failed_attempts);
  void set_status(Status status);
  [[nodiscard]] bool stopping() const { return stopping_; }

  const std::string id_;
  const ServerSpec spec_;
  base::Launcher& launcher_;
  const RestartRule rule_;
  ServerLog log_;
  bool has_served_ = false;  // its own thread's
  base::UniqueFd wake_;      // eventfd: readable once stop was asked for

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Status status_;
  bool retry_asked_ = false;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace zorya::cluster
