#pragma once

#include "function_kit/expected.h"

#include <chrono>
#include <functional>

namespace function_kit {

struct RetryPolicy {
  int attempts = 8;  // all together
  std::chrono::milliseconds backoff_first{10};
  std::chrono::milliseconds backoff_max{500};
  /// Also after a broken connection: only for work of which twice is as good as once.
  bool lost_connection = false;
  /// How to wait; for tests. Empty: sleep.
  std::function<void(std::chrono::microseconds)> wait = {};
};

/// DSQL lets no transaction wait for another; the second to commit fails with 40001 (OC000, OC001)
/// and is to be run again.
bool is_conflict(const Error& error);

/// The wait before attempt `attempt` + 1: full jitter below an exponential bound, so that those
/// that met once do not meet again.
std::chrono::microseconds backoff(const RetryPolicy& policy, int attempt);

namespace detail {
/// Waits and says true if `error` after `attempt` is to be tried again.
bool wait_for_retry(const RetryPolicy& policy, int attempt, const Error& error);
}  // namespace detail

/// Gives what `work` gives, running it again while it meets conflicts and attempts are left. `work`
/// is a whole transaction.
template <typename Work>
auto retry(const RetryPolicy& policy, const Work& work) -> decltype(work()) {
  for (int attempt = 1;; ++attempt) {
    auto result = work();
    if (result || !detail::wait_for_retry(policy, attempt, result.error())) return result;
  }
}

}  // namespace function_kit
