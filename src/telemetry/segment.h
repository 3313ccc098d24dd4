#pragma once

#include "base/result.h"

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace zorya::telemetry {

/// One X-Ray segment or subsegment with what hangs below it.
struct Segment {
  std::string trace_id;   // "1-<8 hex>-<24 hex>"; also of nested ones
  std::string id;         // 16 hex digits
  std::string parent_id;  // empty for a root
  std::string name;
  std::string origin;          // "AWS::Lambda::Function"; may be empty
  std::string name_space;      // "aws", "remote"; may be empty
  bool is_subsegment = false;  // sent alone with type "subsegment", or nested
  std::chrono::system_clock::time_point start;
  std::chrono::system_clock::time_point end;  // `start` while in progress
  bool in_progress = false;
  bool error = false;     // 4xx
  bool fault = false;     // 5xx, exception
  bool throttle = false;  // 429
  std::string http_method;
  std::string http_url;
  int http_status = 0;                             // 0: none
  std::map<std::string, std::string> annotations;  // values as JSON
  std::vector<Segment> children;                   // by start time
};

/// Reads one segment document (JSON, at most `size_bytes_max` bytes, nesting and count bounded).
/// kInvalidArgument says what is wrong with it.
base::Result<Segment> parse_segment(std::string_view document,
                                    std::size_t size_bytes_max = 64u << 10);

/// Hangs segments below their parents, also across documents; one whose parent is not among them
/// becomes a root. Each level is sorted by start time.
std::vector<Segment> assemble_trace(std::vector<Segment> documents);

}  // namespace zorya::telemetry
