#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "cli/watcher.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace zorya::cli {

/// Keeps what is served in step with the sources: a request that comes after a change waits until
/// the change is published, and is told why if it cannot be. A thread of its own does the work.
class Reloader {
 public:
  using Ready = std::function<void(base::Result<void>)>;
  /// Publishes what the sources say now, and answers what to watch from then on. Runs on the
  /// reloader's thread.
  struct Published {
    base::Result<void> outcome;
    Watched watched;
  };
  using Publish = std::function<Published()>;

  /// Requests wait until start().
  static base::Result<std::unique_ptr<Reloader>> create(Publish publish);
  ~Reloader();  // stop()

  /// The first publish is done; from now on changes are looked for. An error: changes cannot be
  /// seen, and are not; all else goes on.
  base::Result<void> start(const Published& first);

  /// Any thread; does not block. After stop() requests go on at once.
  void before_request(Ready ready);

  /// Ends the thread and answers who waits with kUnavailable; idempotent, not for several threads
  /// at once. The object is still there for requests that come meanwhile.
  void stop();

 private:
  Reloader(Publish publish, Watcher watcher, base::UniqueFd wake)
      : publish_(std::move(publish)), watcher_(std::move(watcher)), wake_(std::move(wake)) {}
  void run();
  void settle();
  void publish_now();
  void wake_thread();

  Publish publish_;
  std::mutex mutex_;
  Watcher watcher_;  // under mutex_
  base::UniqueFd wake_;
  std::vector<Ready> waiters_;          // under mutex_
  bool is_dirty_ = true;                // under mutex_: a publish is due or runs
  bool stops_ = false;                  // under mutex_
  std::optional<base::Error> failure_;  // under mutex_: why the last publish failed
  std::thread thread_;
};

}  // namespace zorya::cli
