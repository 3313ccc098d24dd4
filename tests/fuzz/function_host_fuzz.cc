#include "function_host/name_server.h"
#include "function_host/runtime_http.h"
#include "function_host/trace.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

/// libFuzzer's entry: every parser of bytes that a function sends to the host.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace zorya::function_host;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  RuntimeRequestReader reader;
  RuntimeRequest request;
  for (const std::string_view part : {bytes.substr(0, size / 2), bytes.substr(size / 2)}) {
    reader.append(part);
    while (reader.next(request) == RuntimeRequestReader::State::kRequest) {
    }
  }
  answer_name_query(bytes, "us-east-1");
  document_of_datagram(bytes);
  begin_trace(bytes, true);
  return 0;
}
