#include "router/limits.h"

#include "base/log.h"

namespace zorya::router {

bool TokenBucket::take(Time now) {
  const std::chrono::duration<double> passed = now - at_;
  at_ = now;
  tokens_ = std::min(burst_, tokens_ + std::max(0.0, passed.count()) * rate_);
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

void RefusalLog::write(std::string_view text, TokenBucket::Time now) {
  if (!bucket_.take(now)) {
    ++left_out_;
    return;
  }
  std::string line(text);
  if (left_out_ > 0) line += " (" + std::to_string(left_out_) + " such lines were left out)";
  left_out_ = 0;
  base::log(base::LogLevel::kWarning, "router", line);
}

}  // namespace zorya::router
