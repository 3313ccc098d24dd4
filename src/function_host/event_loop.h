#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace zorya::function_host {

/// One thread's loop over descriptors, timers and posted calls. Everything but post() and stop() is
/// called on the loop's thread. Level-triggered epoll; handlers may add and remove anything,
/// themselves included.
class EventLoop {
 public:
  using TimerId = std::uint64_t;
  using Time = std::chrono::steady_clock::time_point;

  static base::Result<std::unique_ptr<EventLoop>> create();

  /// Calls `handler` with the ready epoll events of `fd` until unwatch(). The descriptor stays the
  /// caller's, who unwatches before closing it.
  void watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> handler);
  void change(int fd, std::uint32_t events);
  void unwatch(int fd);

  /// Calls `handler` once, not before `due`. Ids are never used twice and never 0.
  TimerId at(Time due, std::function<void()> handler);
  TimerId after(std::chrono::nanoseconds delay, std::function<void()> handler);
  void cancel(TimerId timer);

  void post(std::function<void()> call);  // any thread
  void run();                             // until stop(); then every posted call has run
  void stop();                            // any thread

 private:
  EventLoop(base::UniqueFd epoll, base::UniqueFd wake);
  void run_posted();
  void run_timers();
  [[nodiscard]] int wait_ms() const;

  struct Watch {
    std::uint64_t generation;
    std::function<void(std::uint32_t)> handler;
  };

  base::UniqueFd epoll_;
  base::UniqueFd wake_;
  std::unordered_map<int, std::shared_ptr<Watch>> watches_;
  std::uint64_t next_generation_ = 1;
  std::map<std::pair<Time, TimerId>, std::function<void()>> timers_;
  std::unordered_map<TimerId, Time> timer_due_;
  TimerId next_timer_ = 1;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
  bool stopped_ = false;                       // guarded by mutex_
};

}  // namespace zorya::function_host
