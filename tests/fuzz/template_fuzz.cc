// Bytes of a template into the reader: whatever they are, the answer is a plan or refusals.
#include "template_engine/template_engine.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zorya::template_engine;
  Context context;
  context.stack = "fuzz";
  context.cluster_id = [](std::string_view) { return std::string(26, 'a'); };
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ReadResult result = read_template_text(text, "/nowhere/t.yaml", {}, context);
  if (const auto* refusals = std::get_if<std::vector<Refusal>>(&result)) {
    if (refusals->empty()) __builtin_trap();
    for (const Refusal& refusal : *refusals) (void)to_string(refusal);
  }
  return 0;
}
