#pragma once

#include "function_kit/expected.h"

#include <boost/json/value.hpp>

#include <map>
#include <string>
#include <string_view>

namespace function_kit {

/// A request as API Gateway hands it over (REST proxy integration, payload 1.0).
struct HttpRequest {
  std::string method;
  std::string path;                            // without the stage
  std::map<std::string, std::string> headers;  // names in lower case; of equal ones the last
  std::map<std::string, std::string> query;    // decoded; of equal ones the last
  std::map<std::string, std::string> path_parameters;  // filled by the router
  std::string body;                                    // bytes: base64 is undone
  std::string request_id;                              // API Gateway's, not the invocation's

  /// The body as JSON.
  [[nodiscard]] Expected<boost::json::value> json() const;
};

struct HttpResponse {
  int status = 200;
  std::map<std::string, std::string> headers = {};
  std::string body = {};
};

/// Reads an event of payload 1.0. "Function.BadEvent" says what is missing.
Expected<HttpRequest> parse_http_event(std::string_view event);

/// The proxy integration's answer. A body that is not UTF-8 goes out as base64.
std::string to_event_answer(const HttpResponse& response);

/// A JSON answer, and the form of errors: {"statusCode":404,"message":"…"}.
HttpResponse json_response(int status, const boost::json::value& body);
HttpResponse error_response(int status, std::string_view message);

}  // namespace function_kit
