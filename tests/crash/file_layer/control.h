#pragma once

#include <atomic>
#include <cstdint>

namespace zorya::file_layer {

/// What a process does that comes to an armed place.
enum class Action : std::int32_t {
  kKillItself = 1,        // SIGKILL
  kKillServer = 2,        // SIGKILL to its parent, the server's first process; it goes on itself
  kStandStill = 3,        // SIGSTOP: the test ends everything just there
  kFailWithIoError = 4,   // of a sync: it does nothing and says EIO
  kFailUntilDisarmed = 5  // the same, again and again
};

/// The file by which a test arms one place while the server runs, mapped by every process of it.
/// The test writes `armed` last; tests/crash/file_layer.py knows this layout.
struct Control {
  char place[64];
  std::atomic<std::int32_t> action;
  std::atomic<std::int32_t> countdown;  // 1: the next who comes
  std::atomic<std::int32_t> armed;
  std::atomic<std::int32_t> reached;  // how often it was acted
  std::atomic<std::int32_t> pid;      // by whom
};
static_assert(sizeof(Control) == 84 && std::atomic<std::int32_t>::is_always_lock_free);

}  // namespace zorya::file_layer
