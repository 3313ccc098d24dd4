#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace zorya::function_host {

/// Threads for work that blocks. The destructor runs what was queued, then joins.
class Workers {
 public:
  explicit Workers(std::size_t count);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void run(std::function<void()> task);  // any thread

 private:
  void serve();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;  // bounded by the host's caps on environments
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace zorya::function_host
