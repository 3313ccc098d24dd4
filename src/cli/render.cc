#include "cli/render.h"

#include "cli/render_words.h"

#include <boost/json.hpp>

#include <algorithm>
#include <ctime>

namespace zorya::cli {
namespace {

namespace json = boost::json;
using std::chrono::duration_cast;
using std::chrono::microseconds;

// "/aws/lambda/f" → "f", "2026/11/26/[3]0123…" → "[3]".
std::string short_group(const std::string& group) {
  constexpr std::string_view kPrefix = "/aws/lambda/";
  return group.starts_with(kPrefix) ? group.substr(kPrefix.size()) : group;
}

std::string version_of(const std::string& stream) {
  const std::size_t open = stream.find('[');
  const std::size_t close = stream.find(']', open == std::string::npos ? 0 : open);
  return open == std::string::npos || close == std::string::npos
             ? std::string{}
             : stream.substr(open, close - open + 1);
}

std::string state_of(const telemetry::Segment& segment) {
  std::string text;
  if (segment.http_status != 0) text += " " + std::to_string(segment.http_status);
  if (segment.throttle) text += " throttled";
  if (segment.fault) text += " fault";
  if (segment.error) text += " error";
  if (segment.in_progress) text += " in progress";
  return text;
}

void add_tree(const telemetry::Segment& segment, std::chrono::system_clock::time_point start,
              const std::string& indent, std::string& text) {
  const auto offset = duration_cast<microseconds>(segment.start - start);
  const auto took = duration_cast<microseconds>(segment.end - segment.start);
  text += padded("+" + ms_text(offset), 12, true) + padded(ms_text(took), 12, true) + "  " +
          indent + harmless(segment.name);
  if (!segment.origin.empty()) text += " (" + harmless(segment.origin) + ")";
  if (!segment.http_method.empty()) {
    text += " " + harmless(segment.http_method) + " " + harmless(segment.http_url);
  }
  text += state_of(segment) + "\n";
  for (const telemetry::Segment& child : segment.children)
    add_tree(child, start, indent + "  ", text);
}

double seconds_of(std::chrono::system_clock::time_point time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

json::object segment_object(const telemetry::Segment& segment) {
  json::array children;
  for (const telemetry::Segment& child : segment.children)
    children.push_back(segment_object(child));
  json::object annotations;
  for (const auto& [name, value] : segment.annotations) {
    json::error_code error;
    json::value parsed = json::parse(value, error);
    annotations[name] = error ? json::value(value) : std::move(parsed);
  }
  return {{"trace_id", segment.trace_id},
          {"id", segment.id},
          {"parent_id", segment.parent_id},
          {"name", segment.name},
          {"origin", segment.origin},
          {"start_time", seconds_of(segment.start)},
          {"end_time", seconds_of(segment.end)},
          {"in_progress", segment.in_progress},
          {"error", segment.error},
          {"fault", segment.fault},
          {"throttle", segment.throttle},
          {"http_method", segment.http_method},
          {"http_url", segment.http_url},
          {"http_status", segment.http_status},
          {"annotations", std::move(annotations)},
          {"children", std::move(children)}};
}

}  // namespace

std::string ms_text(microseconds duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(duration.count()) / 1000);
  return text;
}

std::string padded(std::string text, std::size_t width, bool to_the_right) {
  if (text.size() >= width) return text;
  const std::string space(width - text.size(), ' ');
  return to_the_right ? space + text : text + space;
}

std::string harmless(std::string_view text) {
  std::string safe(text);
  for (char& c : safe) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) c = '?';
  }
  return safe;
}

std::string time_text(std::chrono::system_clock::time_point time) {
  const auto since = duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
  const std::time_t seconds = since.count() / 1000;
  tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(since.count() % 1000));
  return text;
}

std::string log_line(const telemetry::LogEvent& event) {
  return time_text(event.time) + " " + harmless(short_group(event.group)) + " " +
         harmless(version_of(event.stream)) + " " + harmless(event.message);
}

std::string log_json(const telemetry::LogEvent& event) {
  return json::serialize(json::object{{"time", time_text(event.time)},
                                      {"group", event.group},
                                      {"stream", event.stream},
                                      {"message", event.message}});
}

std::string trace_line(const telemetry::TraceSummary& trace) {
  std::string text = trace.trace_id + "  " + time_text(trace.start) +
                     padded(ms_text(trace.duration), 12, true) + "  " + harmless(trace.root_name);
  if (!trace.http_method.empty()) {
    text += "  " + harmless(trace.http_method) + " " + harmless(trace.http_url);
  }
  if (trace.http_status != 0) text += "  " + std::to_string(trace.http_status);
  if (trace.throttle) text += "  throttled";
  if (trace.fault) text += "  fault";
  if (trace.error) text += "  error";
  return text;
}

std::string trace_summary_json(const telemetry::TraceSummary& trace) {
  return json::serialize(json::object{{"trace_id", trace.trace_id},
                                      {"start", time_text(trace.start)},
                                      {"duration_us", trace.duration.count()},
                                      {"name", trace.root_name},
                                      {"http_method", trace.http_method},
                                      {"http_url", trace.http_url},
                                      {"http_status", trace.http_status},
                                      {"error", trace.error},
                                      {"fault", trace.fault},
                                      {"throttle", trace.throttle},
                                      {"segments", trace.segment_count}});
}

std::string trace_tree(const std::vector<telemetry::Segment>& roots) {
  if (roots.empty()) return {};
  const auto first = std::min_element(
      roots.begin(), roots.end(),
      [](const telemetry::Segment& a, const telemetry::Segment& b) { return a.start < b.start; });
  std::string text = first->trace_id + "  " + time_text(first->start) + "\n";
  for (const telemetry::Segment& root : roots) add_tree(root, first->start, "", text);
  return text;
}

std::string trace_json(const std::vector<telemetry::Segment>& roots) {
  json::array list;
  for (const telemetry::Segment& root : roots) list.push_back(segment_object(root));
  return json::serialize(list);
}

std::string hosts_lines(const InstanceInfo& info) {
  std::string text;
  for (const ReachableCluster& cluster : info.dsql)
    text += cluster.host + " " + cluster.endpoint + "\n";
  return text;
}

std::string shell_word(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+:=@%,").find(c) != std::string_view::npos;
  });
  if (plain) return std::string(text);
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::string psql_line(const ReachableCluster& cluster, const std::string& ca_file,
                      const Program& program) {
  std::string token = shell_word(program.zorya.string()) + " token";
  if (!program.is_default_data_folder)
    token += " --data " + shell_word(program.data_folder.string());
  token += " --cluster " + cluster.id;
  // A value of a connection string is quoted by its own rules.
  std::string ca;
  for (const char c : ca_file) {
    if (c == '\'' || c == '\\') ca += '\\';
    ca += c;
  }
  return "PGPASSWORD=\"$(" + token + ")\" psql " +
         shell_word("host=" + cluster.endpoint + " hostaddr=" + cluster.host +
                    " port=" + std::to_string(cluster.port) +
                    " user=admin dbname=postgres sslmode=verify-full sslrootcert='" + ca + "'");
}

}  // namespace zorya::cli
