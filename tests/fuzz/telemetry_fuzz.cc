// The segment documents that functions send.
#include "telemetry/segment.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zorya::telemetry;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto segment = parse_segment(text);
  if (!segment) return 0;
  std::vector<Segment> documents{*segment, *segment};
  (void)assemble_trace(std::move(documents));
  return 0;
}
