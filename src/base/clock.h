#pragma once

#include <chrono>

namespace zorya::base {

/// Time as an argument, so that tests and the simulator can be the world.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall-clock time, for dates on the wire and in tokens.
  [[nodiscard]] virtual std::chrono::system_clock::time_point now() const = 0;
  /// Time that never goes back, for durations and deadlines.
  [[nodiscard]] virtual std::chrono::steady_clock::time_point steady_now() const = 0;
};

/// The machine's clocks; lives as long as the process.
const Clock& system_clock();

/// A clock that stands until it is moved. For tests.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::chrono::system_clock::time_point start) : now_(start) {}
  [[nodiscard]] std::chrono::system_clock::time_point now() const override { return now_; }
  [[nodiscard]] std::chrono::steady_clock::time_point steady_now() const override {
    return steady_;
  }
  void advance(std::chrono::nanoseconds by) {
    now_ += std::chrono::duration_cast<std::chrono::system_clock::duration>(by);
    steady_ += by;
  }

 private:
  std::chrono::system_clock::time_point now_;
  std::chrono::steady_clock::time_point steady_{};
};

}  // namespace zorya::base
