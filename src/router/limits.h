#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

namespace zorya::router {

/// `rate` tokens a second, at most `burst` saved up. Time comes in as an argument.
class TokenBucket {
 public:
  using Time = std::chrono::steady_clock::time_point;

  TokenBucket(double rate, double burst, Time now)
      : rate_(rate), burst_(burst), tokens_(burst), at_(now) {}

  /// Takes a token if there is one.
  bool take(Time now);

 private:
  double rate_;
  double burst_;
  double tokens_;
  Time at_;
};

/// Keeps a flood of refusals from becoming a flood of log lines: 20 lines a second, and how many
/// were left out.
class RefusalLog {
 public:
  explicit RefusalLog(TokenBucket::Time now) : bucket_(20, 50, now) {}
  void write(std::string_view text, TokenBucket::Time now);

 private:
  TokenBucket bucket_;
  std::size_t left_out_ = 0;
};

}  // namespace zorya::router
