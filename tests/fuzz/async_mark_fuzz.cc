#include "query_processor/gate/async_mark.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// libFuzzer's entry: the text of a statement, as PostgreSQL's grammar would take it or not.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  zorya::query_processor::gate::has_async_mark(text);
  zorya::query_processor::gate::names_index_method(text);
  return 0;
}
