#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace zorya::gateway {

/// What a request's X-Amzn-Trace-Id becomes on its way. Source: the fact sheet on Lambda, 10.1.
struct TraceContext {
  std::string root;            // "1-…"; made if the request brought none
  std::string parent;          // segment of the caller; may be empty
  bool is_traced = false;      // the stage traces, and the caller did not decide against it
  std::string segment_id;      // of the stage's segment
  std::string integration_id;  // of the subsegment that stands for the call of the function
  std::string event_header;    // for the function's headers
  std::string invoke_header;   // for the invoke, and for the client
};

/// Every request of a traced stage is sampled, unless the caller says Sampled=0. Fields that the
/// gateway does not know (Lineage) are kept. A header that is malformed or longer than 1 KiB counts
/// as none.
TraceContext begin_trace(std::string_view header, bool stage_traces,
                         std::chrono::system_clock::time_point now);

/// What the stage's segment tells.
struct StageSegment {
  std::string_view name;  // "<api>/<stage>"
  std::string_view region;
  std::string_view account;
  std::string_view api_id;
  std::string_view stage;
  std::string_view request_id;
  std::string_view method;
  std::string_view url;
  std::string_view user_agent;
  std::string_view client_ip;
  std::string_view function;
  int status = 0;
  std::size_t content_length_bytes = 0;
  int invoke_status = 0;  // of the call of the function; 0: none came back
  std::chrono::system_clock::time_point start;
  std::chrono::system_clock::time_point invoke_start;
  std::chrono::system_clock::time_point end;
};

/// The X-Ray document of origin AWS::ApiGateway::Stage, with a subsegment for the call of the
/// function.
std::string make_stage_segment(const TraceContext& trace, const StageSegment& segment);

}  // namespace zorya::gateway
