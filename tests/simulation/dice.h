#pragma once

#include <cstddef>
#include <cstdint>

namespace zorya::simulation {

/// Numbers that depend on the seed alone, on every machine: splitmix64.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  /// From 0 to count - 1.
  int below(int count) { return static_cast<int>(next() % static_cast<std::uint64_t>(count)); }
  bool one_in(int count) { return below(count) == 0; }
  template <typename Container>
  auto& of(Container& container) {
    return container[static_cast<std::size_t>(below(static_cast<int>(std::size(container))))];
  }

 private:
  std::uint64_t state_;
};

}  // namespace zorya::simulation
