#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace zorya::function_host {

/// What one invoke knows of its trace: the service's two segments and the header the function gets.
struct InvokeTrace {
  std::string root;         // "1-…"; empty: no trace at all
  std::string parent;       // the caller's segment, or empty
  bool sampled = false;     // segments are to be made
  std::string service_id;   // of the segment of origin AWS::Lambda
  std::string function_id;  // of the segment of origin AWS::Lambda::Function
  std::string header;       // what the function is given
};

/// `tracing_active`: TracingConfig Active, so a trace is begun where the caller has none, and every
/// request is sampled unless the caller says Sampled=0. Otherwise the caller's header only passes.
InvokeTrace begin_trace(std::string_view caller_header, bool tracing_active);

/// Facts of a finished invoke for its segments.
struct TraceFacts {
  std::string_view function;
  std::string_view function_arn;
  std::string_view request_id;
  std::string_view account;
  std::chrono::system_clock::time_point requested;  // the invoke reached the host
  std::chrono::system_clock::time_point started;    // the function got it
  std::chrono::system_clock::time_point ended;
  /// Before `started`: an INIT or a restore of this length was part of it.
  std::optional<std::chrono::nanoseconds> preparation;
  bool restored = false;  // preparation was a restore
  bool fault = false;
  std::string_view error_payload;  // the service's or the function's, JSON
};

std::string service_segment(const InvokeTrace& trace, const TraceFacts& facts);
std::string function_segment(const InvokeTrace& trace, const TraceFacts& facts);

/// The document of one datagram to the daemon's port, or nothing if it is none.
std::optional<std::string> document_of_datagram(std::string_view datagram);

}  // namespace zorya::function_host
