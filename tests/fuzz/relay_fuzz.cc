#include "router/random_relay.h"

#include <cstddef>
#include <cstdint>

/// libFuzzer's entry: a client's bytes and a server's answers, in any pieces and order, through the
/// session router's relay.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  zorya::router::RandomRelay({reinterpret_cast<const char*>(data), size}).run();
  return 0;
}
