#include "gateway/trace.h"

#include "gateway/ids.h"
#include "gateway/json_text.h"
#include "http/field.h"

#include <algorithm>
#include <cstdio>

namespace zorya::gateway {
namespace {

constexpr std::size_t kHeaderSizeMax = 1024;

bool is_hex(std::string_view text, std::size_t size) {
  return text.size() == size && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

bool is_root(std::string_view text) {
  return text.size() == 35 && text.starts_with("1-") && text[10] == '-' &&
         is_hex(text.substr(2, 8), 8) && is_hex(text.substr(11), 24);
}

struct Header {
  std::string_view root;
  std::string_view parent;
  std::string_view sampled;
  std::string others;  // ";Lineage=…"
};

Header parse_header(std::string_view text) {
  Header header;
  if (text.size() > kHeaderSizeMax) return header;
  while (!text.empty()) {
    const std::size_t end = text.find(';');
    std::string_view piece = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    while (piece.starts_with(' ')) piece.remove_prefix(1);
    const std::size_t equals = piece.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = piece.substr(0, equals);
    const std::string_view value = piece.substr(equals + 1);
    if (http::equals_ignoring_case(name, "Root") && is_root(value)) header.root = value;
    if (http::equals_ignoring_case(name, "Parent") && is_hex(value, 16)) header.parent = value;
    if (http::equals_ignoring_case(name, "Sampled")) header.sampled = value;
    if (http::equals_ignoring_case(name, "Lineage")) header.others.append(";").append(piece);
  }
  return header.root.empty() ? Header{} : header;
}

void append_time(std::string& out, std::string_view name,
                 std::chrono::system_clock::time_point time) {
  const auto microseconds =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  char text[64];
  const int size =
      std::snprintf(text, sizeof text, ",\"%.*s\":%lld.%06lld", static_cast<int>(name.size()),
                    name.data(), static_cast<long long>(microseconds / 1000000),
                    static_cast<long long>(microseconds % 1000000));
  out.append(text, static_cast<std::size_t>(size));
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  out += ",\"";
  out += name;
  out += "\":";
  append_json_string(out, value);
}

void append_flags(std::string& out, int status) {
  if (status >= 500) out += R"(,"fault":true)";
  if (status >= 400 && status < 500) out += R"(,"error":true)";
  if (status == 429) out += R"(,"throttle":true)";
}

void append_invoke(std::string& out, const TraceContext& trace, const StageSegment& segment) {
  out += R"(,"subsegments":[{"id":)";
  append_json_string(out, trace.integration_id);
  out += R"(,"name":"Lambda","namespace":"aws")";
  append_time(out, "start_time", segment.invoke_start);
  append_time(out, "end_time", segment.end);
  out += R"(,"http":{"request":{"method":"POST","url":)";
  append_json_string(out, "https://lambda." + std::string(segment.region) +
                              ".amazonaws.com/2015-03-31/functions/" +
                              std::string(segment.function) + "/invocations");
  out += R"(,"traced":true})";
  if (segment.invoke_status != 0) {
    out += R"(,"response":{"status":)" + std::to_string(segment.invoke_status) + '}';
  }
  out += R"(},"aws":{"operation":"Invoke")";
  append_member(out, "region", segment.region);
  append_member(out, "function_name", segment.function);
  out += '}';
  append_flags(out, segment.invoke_status);
  out += "}]";
}

}  // namespace

TraceContext begin_trace(std::string_view header, bool stage_traces,
                         std::chrono::system_clock::time_point now) {
  const Header incoming = parse_header(header);
  TraceContext trace;
  trace.root = incoming.root.empty() ? make_trace_id(now) : std::string(incoming.root);
  trace.parent = incoming.parent;
  trace.is_traced = stage_traces && incoming.sampled != "0";
  trace.event_header = incoming.root.empty() ? "Root=" + trace.root : std::string(header);
  trace.invoke_header = "Root=" + trace.root;
  if (trace.is_traced) {
    trace.segment_id = make_segment_id();
    trace.integration_id = make_segment_id();
    trace.invoke_header += ";Parent=" + trace.integration_id + ";Sampled=1";
  } else {
    if (!trace.parent.empty()) trace.invoke_header += ";Parent=" + trace.parent;
    if (incoming.sampled == "0" || incoming.sampled == "1") {
      trace.invoke_header.append(";Sampled=").append(incoming.sampled);
    }
  }
  trace.invoke_header += incoming.others;
  return trace;
}

std::string make_stage_segment(const TraceContext& trace, const StageSegment& segment) {
  std::string out;
  out.reserve(1024);
  out += R"({"id":)";
  append_json_string(out, trace.segment_id);
  append_member(out, "trace_id", trace.root);
  if (!trace.parent.empty()) append_member(out, "parent_id", trace.parent);
  append_member(out, "name", segment.name);
  append_member(out, "origin", "AWS::ApiGateway::Stage");
  append_time(out, "start_time", segment.start);
  append_time(out, "end_time", segment.end);
  out += R"(,"http":{"request":{"method":)";
  append_json_string(out, segment.method);
  append_member(out, "url", segment.url);
  if (!segment.user_agent.empty()) append_member(out, "user_agent", segment.user_agent);
  append_member(out, "client_ip", segment.client_ip);
  out += R"(},"response":{"status":)" + std::to_string(segment.status) + R"(,"content_length":)" +
         std::to_string(segment.content_length_bytes) + "}}";
  out += R"(,"aws":{"api_gateway":{"account_id":)";
  append_json_string(out, segment.account);
  append_member(out, "rest_api_id", segment.api_id);
  append_member(out, "stage", segment.stage);
  append_member(out, "request_id", segment.request_id);
  out += "}}";
  append_member(out, "resource_arn",
                "arn:aws:apigateway:" + std::string(segment.region) + "::/restapis/" +
                    std::string(segment.api_id) + "/stages/" + std::string(segment.stage));
  append_flags(out, segment.status);
  append_invoke(out, trace, segment);
  out += '}';
  return out;
}

}  // namespace zorya::gateway
