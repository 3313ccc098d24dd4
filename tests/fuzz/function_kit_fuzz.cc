#include "function_kit/router.h"

#include <cstddef>
#include <cstdint>
#include <string>

/// libFuzzer's entry: an event, its body and its path, as a client outside can shape them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace function_kit;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  if (auto request = parse_http_event(bytes)) {
    if (auto body = request->json()) to_event_answer(json_response(200, *body));
  }
  Router router;
  router.on("GET", "/{a}/b/{c}", [](const HttpRequest& request, const Context&) {
    return HttpResponse{200, {}, request.path_parameters.at("c") + request.body};
  });
  HttpRequest request;
  request.method = "GET";
  request.path = bytes;
  request.body = bytes;
  to_event_answer(router.route(request, {}));
  return 0;
}
