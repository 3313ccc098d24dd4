// A function that does nothing but answer: what is left is the way to it and back.
#include "function_kit/router.h"
#include "function_kit/runtime.h"

#include <boost/json/object.hpp>

namespace {

function_kit::Expected<function_kit::Handler> make_handler() {
  function_kit::Router router;
  router.on("GET", "/cpp/{name}",
            [](const function_kit::HttpRequest& request, const function_kit::Context&) {
              return function_kit::json_response(
                  200, boost::json::object{{"hello", request.path_parameters.at("name")}});
            });
  return function_kit::Handler(router);
}

}  // namespace

int main() { return function_kit::run(make_handler); }
