#include "telemetry/segment.h"

#include <boost/json.hpp>

#include <algorithm>
#include <cmath>
#include <optional>

namespace zorya::telemetry {
namespace {

namespace json = boost::json;

constexpr std::size_t kSegmentsMax = 2000;  // in one document
constexpr std::size_t kDepthMax = 32;
constexpr std::size_t kNameSizeMax = 200;
constexpr std::size_t kAnnotationsMax = 50;
constexpr std::size_t kTextSizeMax = 2000;  // of a URL or an annotation's value

base::Error refuse(const std::string& why) {
  return base::Error{base::Code::kInvalidArgument, "read segment document: " + why, {}};
}

bool is_hex(std::string_view text, std::size_t size) {
  return text.size() == size && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

bool is_trace_id(std::string_view text) {
  return text.size() == 35 && text.starts_with("1-") && text[10] == '-' &&
         is_hex(text.substr(2, 8), 8) && is_hex(text.substr(11), 24);
}

std::string text_of(const json::object& object, std::string_view key, std::size_t size_max) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  const std::string_view text = value->get_string();
  return std::string(text.substr(0, size_max));
}

bool flag_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

/// Epoch seconds as a number. Beyond the year 2200 or before 1970 is no time.
std::optional<std::chrono::system_clock::time_point> time_of(const json::object& object,
                                                             std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const double seconds = value->is_double()  ? value->get_double()
                         : value->is_int64() ? static_cast<double>(value->get_int64())
                                             : static_cast<double>(value->get_uint64());
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 7258118400.0) return std::nullopt;
  return std::chrono::system_clock::time_point(
      std::chrono::microseconds(std::llround(seconds * 1e6)));
}

void read_http(const json::object& object, Segment& segment) {
  const json::value* http = object.if_contains("http");
  if (http == nullptr || !http->is_object()) return;
  if (const json::value* request = http->get_object().if_contains("request");
      request != nullptr && request->is_object()) {
    segment.http_method = text_of(request->get_object(), "method", 32);
    segment.http_url = text_of(request->get_object(), "url", kTextSizeMax);
  }
  const json::value* response = http->get_object().if_contains("response");
  if (response == nullptr || !response->is_object()) return;
  const json::value* status = response->get_object().if_contains("status");
  if (status != nullptr && status->is_int64() && status->get_int64() >= 100 &&
      status->get_int64() <= 999) {
    segment.http_status = static_cast<int>(status->get_int64());
  }
}

void read_annotations(const json::object& object, Segment& segment) {
  const json::value* annotations = object.if_contains("annotations");
  if (annotations == nullptr || !annotations->is_object()) return;
  for (const auto& [key, value] : annotations->get_object()) {
    if (segment.annotations.size() >= kAnnotationsMax) return;
    if (value.is_structured() || value.is_null()) continue;
    segment.annotations.emplace(std::string(key), json::serialize(value).substr(0, kTextSizeMax));
  }
}

/// What a nested one has from the document it stands in.
struct Parent {
  std::string trace_id;
  std::string id;
};

base::Result<Segment> read_segment(const json::value& value, const Parent* parent,
                                   std::size_t& budget);

base::Result<void> read_children(const json::object& object, Segment& segment,
                                 std::size_t& budget) {
  const json::value* children = object.if_contains("subsegments");
  if (children == nullptr || children->is_null()) return {};
  if (!children->is_array()) return refuse("subsegments is not a list");
  const Parent here{segment.trace_id, segment.id};
  for (const json::value& child : children->get_array()) {
    ZORYA_ASSIGN(auto read, read_segment(child, &here, budget));
    segment.children.push_back(std::move(read));
  }
  return {};
}

base::Result<void> read_identity(const json::object& object, const Parent* parent,
                                 Segment& segment) {
  segment.id = text_of(object, "id", 17);
  if (!is_hex(segment.id, 16)) return refuse("id is not 16 hex digits");
  if (parent != nullptr) {
    segment.trace_id = parent->trace_id;
    segment.parent_id = parent->id;
    segment.is_subsegment = true;
    return {};
  }
  segment.trace_id = text_of(object, "trace_id", 36);
  if (!is_trace_id(segment.trace_id)) return refuse("trace_id is not of the form 1-8hex-24hex");
  segment.parent_id = text_of(object, "parent_id", 17);
  if (!segment.parent_id.empty() && !is_hex(segment.parent_id, 16)) {
    return refuse("parent_id is not 16 hex digits");
  }
  segment.is_subsegment = text_of(object, "type", 16) == "subsegment";
  if (segment.is_subsegment && segment.parent_id.empty()) {
    return refuse("a subsegment sent alone needs a parent_id");
  }
  return {};
}

base::Result<Segment> read_segment(const json::value& value, const Parent* parent,
                                   std::size_t& budget) {
  if (!value.is_object()) return refuse("not an object");
  if (budget-- == 0) return refuse("more than " + std::to_string(kSegmentsMax) + " segments");
  const json::object& object = value.get_object();
  Segment segment;
  ZORYA_TRY(read_identity(object, parent, segment));
  segment.name = text_of(object, "name", kNameSizeMax);
  if (segment.name.empty()) return refuse("name is missing");
  const auto start = time_of(object, "start_time");
  if (!start) return refuse("start_time is no time");
  segment.start = *start;
  const auto end = time_of(object, "end_time");
  segment.in_progress = !end;
  if (!end && !flag_of(object, "in_progress")) return refuse("neither end_time nor in_progress");
  segment.end = std::max(segment.start, end.value_or(segment.start));
  segment.origin = text_of(object, "origin", kNameSizeMax);
  segment.name_space = text_of(object, "namespace", kNameSizeMax);
  segment.error = flag_of(object, "error");
  segment.fault = flag_of(object, "fault");
  segment.throttle = flag_of(object, "throttle");
  read_http(object, segment);
  read_annotations(object, segment);
  ZORYA_TRY(read_children(object, segment, budget));
  return segment;
}

}  // namespace

base::Result<Segment> parse_segment(std::string_view document, std::size_t size_bytes_max) {
  if (document.size() > size_bytes_max) {
    return refuse("longer than " + std::to_string(size_bytes_max) + " bytes");
  }
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::error_code error;
  const json::value value = json::parse(document, error, {}, options);
  if (error) return refuse("not JSON: " + error.message());
  std::size_t budget = kSegmentsMax;
  return read_segment(value, nullptr, budget);
}

}  // namespace zorya::telemetry
