#include "pgwire/random_bytes.h"

#include <cstddef>
#include <cstdint>

/// libFuzzer's entry: every parser of PostgreSQL's wire messages and the marker of SQL text.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  zorya::pgwire::try_all_parsers({reinterpret_cast<const char*>(data), size});
  return 0;
}
