#pragma once

#include "gateway/ids.h"
#include "gateway/routes.h"
#include "http/field.h"

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace zorya::gateway {

/// One request as it came. Views: valid as long as the message.
struct Incoming {
  std::string_view method;
  std::string_view authority;  // of the absolute form, or of Host
  std::string_view path;
  std::string_view query;
  std::span<const http::FieldView> fields;
  std::string_view body;
  std::string_view source_ip;
  std::uint16_t port = 0;  // ours
};

/// What of an event does not come from the request.
struct EventContext {
  std::string_view account;
  RequestIds ids;
  std::string trace_header;  // the value of X-Amzn-Trace-Id the function sees in its headers
  std::chrono::system_clock::time_point time;
};

/// The method that counts: X-HTTP-Method-Override replaces it.
std::string_view effective_method(const Incoming& incoming);

/// The event of the Lambda proxy integration, payload format 1.0, every member present. Source: the
/// fact sheet on API Gateway, 2.1 and 3.
std::string make_event(const Incoming& incoming, const RouteMatch& match,
                       const EventContext& context);

}  // namespace zorya::gateway
