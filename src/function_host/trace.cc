#include "function_host/trace.h"

#include "base/clock.h"
#include "base/random.h"
#include "function_host/platform_log.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace zorya::function_host {
namespace {

using std::chrono::system_clock;

std::string hex_id() {
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "%016llx",
                static_cast<unsigned long long>(base::random_u64()));
  return text.data();
}

std::string new_root() {
  std::array<char, 48> text{};
  const auto seconds = system_clock::to_time_t(base::system_clock().now());
  std::snprintf(text.data(), text.size(), "1-%08llx-%016llx%08llx",
                static_cast<unsigned long long>(seconds),
                static_cast<unsigned long long>(base::random_u64()),
                static_cast<unsigned long long>(base::random_u64() >> 32));
  return text.data();
}

std::string_view part_of(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const std::size_t end = std::min(header.find(';'), header.size());
    const std::string_view part = header.substr(0, end);
    header.remove_prefix(end == header.size() ? end : end + 1);
    if (part.size() > name.size() && part.starts_with(name) && part[name.size()] == '=') {
      return part.substr(name.size() + 1);
    }
  }
  return {};
}

std::string seconds_text(system_clock::time_point time) {
  std::array<char, 48> text{};
  const auto us =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  std::snprintf(text.data(), text.size(), "%lld.%06lld", static_cast<long long>(us / 1'000'000),
                static_cast<long long>(us % 1'000'000));
  return text.data();
}

std::string common_fields(const InvokeTrace& trace, std::string_view id, std::string_view parent,
                          const TraceFacts& facts, system_clock::time_point start) {
  std::string text = "\"id\":" + json_quote(id) + ",\"trace_id\":" + json_quote(trace.root) +
                     ",\"name\":" + json_quote(facts.function) +
                     ",\"start_time\":" + seconds_text(start) +
                     ",\"end_time\":" + seconds_text(facts.ended);
  if (!parent.empty()) text += ",\"parent_id\":" + json_quote(parent);
  text += ",\"aws\":{\"account_id\":" + json_quote(facts.account) +
          ",\"request_id\":" + json_quote(facts.request_id) +
          ",\"function_arn\":" + json_quote(facts.function_arn) + ",\"resource_names\":[" +
          json_quote(facts.function) + "]}";
  if (facts.fault) text += ",\"fault\":true";
  return text;
}

}  // namespace

InvokeTrace begin_trace(std::string_view caller_header, bool tracing_active) {
  InvokeTrace trace;
  trace.root = part_of(caller_header, "Root");
  trace.parent = part_of(caller_header, "Parent");
  if (!tracing_active) {
    trace.header = caller_header;
    return trace;
  }
  trace.sampled = part_of(caller_header, "Sampled") != "0";
  if (trace.root.empty()) trace.root = new_root();
  if (!trace.sampled) {
    trace.header = "Root=" + trace.root +
                   (trace.parent.empty() ? std::string() : ";Parent=" + trace.parent) +
                   ";Sampled=0";
    return trace;
  }
  trace.service_id = hex_id();
  trace.function_id = hex_id();
  trace.header = "Root=" + trace.root + ";Parent=" + trace.function_id + ";Sampled=1";
  return trace;
}

std::string service_segment(const InvokeTrace& trace, const TraceFacts& facts) {
  return "{" + common_fields(trace, trace.service_id, trace.parent, facts, facts.requested) +
         ",\"origin\":\"AWS::Lambda\",\"http\":{\"response\":{\"status\":200}}}";
}

std::string function_segment(const InvokeTrace& trace, const TraceFacts& facts) {
  const system_clock::time_point begin =
      facts.preparation
          ? facts.started - std::chrono::duration_cast<system_clock::duration>(*facts.preparation)
          : facts.started;
  std::string subsegments;
  const auto add = [&](const char* name, system_clock::time_point from,
                       system_clock::time_point to) {
    if (!subsegments.empty()) subsegments += ",";
    subsegments += "{\"id\":\"" + hex_id() + "\",\"name\":\"" + name +
                   "\",\"start_time\":" + seconds_text(from) + ",\"end_time\":" + seconds_text(to) +
                   "}";
  };
  if (facts.preparation) add(facts.restored ? "Restore" : "Init", begin, facts.started);
  std::string text = "{" + common_fields(trace, trace.function_id, trace.service_id, facts, begin) +
                     ",\"origin\":\"AWS::Lambda::Function\"";
  if (facts.fault && !facts.error_payload.empty()) {
    text += ",\"cause\":{\"exceptions\":[{\"id\":\"" + hex_id() +
            "\",\"message\":" + json_quote(facts.error_payload.substr(0, 2000)) + "}]}";
  }
  return text + ",\"subsegments\":[" + subsegments + "]}";
}

std::optional<std::string> document_of_datagram(std::string_view datagram) {
  const std::size_t newline = datagram.find('\n');
  if (newline == std::string_view::npos ||
      datagram.substr(0, newline).find("\"format\"") == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view document = datagram.substr(newline + 1);
  if (!document.starts_with('{')) return std::nullopt;
  return std::string(document);
}

}  // namespace zorya::function_host
