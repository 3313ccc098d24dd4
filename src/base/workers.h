#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace zorya::base {

/// Threads for work that blocks, which take it in the order it came. The destructor runs what was
/// queued, then joins. Whoever queues bounds how much.
class Workers {
 public:
  /// Throws std::system_error if a thread cannot be started.
  explicit Workers(std::size_t count);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Any thread. After the destructor has begun only a task of ours may call it.
  void run(std::function<void()> task);
  /// Whether the caller is one of these threads.
  [[nodiscard]] bool is_worker() const;

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace zorya::base
