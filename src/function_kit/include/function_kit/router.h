#pragma once

#include "function_kit/http_event.h"
#include "function_kit/runtime.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace function_kit {

/// Picks a function by method and path. A pattern is segments, "/todos/{id}": a segment in braces
/// takes one whole segment, percent-decoded, as a parameter. Fixed segments go before braces,
/// whatever the order of on(). A trailing slash does not count.
class Router {
 public:
  using Route = std::function<HttpResponse(const HttpRequest&, const Context&)>;

  Router& on(std::string method, std::string_view pattern, Route route);

  /// 404 if no pattern fits the path, 405 with Allow if none of those that fit has the method.
  [[nodiscard]] HttpResponse route(HttpRequest request, const Context& context) const;

  /// As the handler of a function: event in, answer out.
  [[nodiscard]] Expected<std::string> operator()(const std::string& event,
                                                 const Context& context) const;

 private:
  struct Entry {
    std::string method;
    std::vector<std::string> segments;  // "{id}" for a parameter
    Route route;
  };
  std::vector<Entry> entries_;
};

}  // namespace function_kit
