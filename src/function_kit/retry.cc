#include "function_kit/retry.h"

#include <algorithm>
#include <random>
#include <thread>

namespace function_kit {

bool is_conflict(const Error& error) {
  return error.sqlstate == "40001" || error.sqlstate == "OC000" || error.sqlstate == "OC001";
}

std::chrono::microseconds backoff(const RetryPolicy& policy, int attempt) {
  auto bound = std::chrono::microseconds(policy.backoff_first);
  const auto top = std::chrono::microseconds(policy.backoff_max);
  for (int i = 1; i < attempt && bound < top; ++i) bound *= 2;
  std::random_device random;
  std::uniform_int_distribution<std::int64_t> below(0, std::min(bound, top).count());
  return std::chrono::microseconds(below(random));
}

bool detail::wait_for_retry(const RetryPolicy& policy, int attempt, const Error& error) {
  const bool again = is_conflict(error) || (policy.lost_connection && error.connection_lost);
  if (!again || attempt >= policy.attempts) return false;
  const auto wait = backoff(policy, attempt);
  if (policy.wait) {
    policy.wait(wait);
  } else {
    std::this_thread::sleep_for(wait);
  }
  return true;
}

}  // namespace function_kit
