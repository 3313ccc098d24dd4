// The answers to status and force requests, for people.
#include "cli/render.h"
#include "cli/render_words.h"

#include <boost/json.hpp>

#include <algorithm>
#include <cstdint>

namespace zorya::cli {
namespace {

namespace json = boost::json;
using std::chrono::microseconds;

// A member of a status answer; empty if it is not there.
std::string text_at(const json::value& value, std::string_view pointer) {
  json::error_code error;
  const json::value* found = value.find_pointer({pointer.data(), pointer.size()}, error);
  if (found == nullptr) return {};
  return found->is_string() ? std::string(found->as_string()) : json::serialize(*found);
}

const json::array& list_at(const json::value& value, std::string_view pointer) {
  static const json::array none;
  json::error_code error;
  const json::value* found = value.find_pointer({pointer.data(), pointer.size()}, error);
  return found != nullptr && found->is_array() ? found->as_array() : none;
}

std::int64_t number_at(const json::value& value, std::string_view pointer) {
  json::error_code error;
  const json::value* found = value.find_pointer({pointer.data(), pointer.size()}, error);
  return found != nullptr && found->is_int64() ? found->as_int64() : 0;
}

// "public.t row 2, key 1; public.u mark 1": what conflicted most comes first.
std::string conflicts_text(const json::array& conflicts) {
  std::vector<const json::value*> rows;
  for (const json::value& row : conflicts) rows.push_back(&row);
  std::stable_sort(rows.begin(), rows.end(), [](const json::value* a, const json::value* b) {
    return number_at(*a, "/conflicts") > number_at(*b, "/conflicts");
  });
  constexpr std::size_t kRowsShown = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(rows.size(), kRowsShown); ++i) {
    const json::value& row = *rows[i];
    const std::string name = text_at(row, "/table_name");
    text += (text.empty() ? "" : ", ") + (name.empty() || name == "null" ? "?" : harmless(name)) +
            " " + text_at(row, "/kind") + " " + text_at(row, "/conflicts");
  }
  return rows.size() > kRowsShown ? text + ", …" : text;
}

// The upper end of the bucket in which the commit at `share` of all lies: "< 512 us".
std::string percentile_text(const json::array& times, std::string_view part, double share) {
  std::int64_t all = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> buckets;
  for (const json::value& row : times) {
    if (text_at(row, "/part") != part) continue;
    const std::int64_t end = number_at(row, "/below_us");
    buckets.emplace_back(end == 0 ? INT64_MAX : end, number_at(row, "/commits"));
    all += buckets.back().second;
  }
  std::sort(buckets.begin(), buckets.end());
  std::int64_t seen = 0;
  for (const auto& [end, count] : buckets) {
    seen += count;
    if (static_cast<double>(seen) < share * static_cast<double>(all)) continue;
    if (end == INT64_MAX) return "over 33 s";
    return end < 1000 ? "< " + std::to_string(end) + " us" : "< " + ms_text(microseconds(end));
  }
  return "-";
}

// What schema changes and the age limit did to transactions in their way.
std::string wounds_text(const json::value& path) {
  std::int64_t ended = 0;
  for (const char* how : {"rolled_back", "copy_failed", "cancelled", "terminated"}) {
    ended += number_at(path, std::string("/figures/wounds_") + how);
  }
  return std::to_string(ended) + " by schema changes, " + text_at(path, "/figures/wounds_aged") +
         " by age; " + text_at(path, "/figures/waits_at_bound") + " waits met the bound";
}

void add_commit_path(const json::value& cluster, std::string& text) {
  json::error_code error;
  const json::value* path = cluster.find_pointer("/commit_path", error);
  if (path == nullptr || !path->is_object()) return;
  if (const std::string reason = text_at(*path, "/reason"); !reason.empty()) {
    text += "  commits   not known: " + harmless(reason) + "\n";
    return;
  }
  text += "  commits   " + text_at(*path, "/figures/committed") + " committed, " +
          text_at(*path, "/figures/conflicts") + " conflicts, heap disagreed " +
          text_at(*path, "/figures/apply_failures") + " times, " +
          text_at(*path, "/figures/recent_keys") + " recent keys in " +
          std::to_string(number_at(*path, "/figures/recent_keys_bytes") >> 10) + " KiB\n";
  const std::string conflicts = conflicts_text(list_at(*path, "/conflicts"));
  if (!conflicts.empty()) text += "  conflicts " + conflicts + "\n";
  text += "  wounds    " + wounds_text(*path) + "\n";
  const json::array& times = list_at(*path, "/times");
  if (times.empty()) return;
  text += "  times    ";
  for (const char* part : {"verdict", "apply", "flush"}) {
    text += std::string(" ") + part + " " + percentile_text(times, part, 0.5) + ", 99 % " +
            percentile_text(times, part, 0.99) + ";";
  }
  text.back() = '\n';
}

void add_status_clusters(const json::value& status, std::string& text) {
  for (const json::value& cluster : list_at(status, "/clusters")) {
    text += "cluster     " + text_at(cluster, "/id") + "  " + text_at(cluster, "/state");
    const std::string reason = text_at(cluster, "/reason");
    if (!reason.empty()) text += ": " + reason;
    text += "  " + text_at(cluster, "/endpoint") + "\n";
    add_commit_path(cluster, text);
  }
}

void add_status_functions(const json::value& status, std::string& text) {
  for (const json::value& version : list_at(status, "/functions")) {
    text += "function    " + text_at(version, "/function") + "  version " +
            text_at(version, "/version") + "  " + text_at(version, "/state");
    const std::string reason = text_at(version, "/state_reason");
    if (!reason.empty()) text += ": " + reason;
    text += "  starts by " + text_at(version, "/restore_path");
    const std::string why = text_at(version, "/restore_reason");
    if (!why.empty()) text += " (" + why + ")";
    text += "\n";
  }
}

}  // namespace

std::string forced_lines(std::string_view answer_json) {
  json::error_code error;
  const json::value answer = json::parse({answer_json.data(), answer_json.size()}, error);
  if (error) return std::string(answer_json) + "\n";
  if (const std::string id = text_at(answer, "/id"); !id.empty())
    return "forced, number " + id + "\n";
  if (const std::string count = text_at(answer, "/forgotten"); !count.empty()) {
    return "forgotten: " + count + "\n";
  }
  std::string text;
  for (const json::value& row : list_at(answer, "/forced")) {
    const auto shown = [&](std::string_view pointer, const char* none) {
      const std::string value = text_at(row, pointer);
      return value == "null" || value.empty() ? std::string(none) : harmless(value);
    };
    text += padded(shown("/id", "?"), 4, true) + "  " + padded(shown("/outcome", "?"), 8) +
            padded(shown("/at_point", "-"), 16) + padded(shown("/of_table", "any table"), 24) +
            "fired " + shown("/fired", "?") + " of " + shown("/asked", "?") + "\n";
  }
  return text.empty() ? "nothing is forced\n" : text;
}

std::string status_lines(std::string_view status_json, std::uint64_t memory_bytes) {
  json::error_code error;
  const json::value status = json::parse({status_json.data(), status_json.size()}, error);
  if (error) return std::string(status_json) + "\n";
  std::string text = "zorya       pid " + text_at(status, "/instance/pid") + ", stack " +
                     text_at(status, "/instance/stack") + "\n";
  text += "api         " + text_at(status, "/instance/api_url") + "\n";
  add_status_clusters(status, text);
  add_status_functions(status, text);
  if (text_at(status, "/forced_outcomes") == "true") {
    text += "tests       outcomes can be forced (zorya force)\n";
  }
  text += "sessions    " + text_at(status, "/sessions/open") + " open, " +
          text_at(status, "/sessions/refused") + " refused, " + text_at(status, "/sessions/told") +
          " told of a transaction ended from outside, " +
          text_at(status, "/sessions/backends_lost") + " backends lost\n";
  text += "environments " + text_at(status, "/environments/busy") + " busy, " +
          text_at(status, "/environments/idle") + " idle, " +
          text_at(status, "/environments/parked") + " parked\n";
  const std::string isolation = text_at(status, "/isolation");
  if (!isolation.empty()) {  // none without functions
    text += "isolation   " + isolation +
            ", control groups: " + (text_at(status, "/cgroups") == "true" ? "yes" : "no") + "\n";
  }
  text += "telemetry   " + text_at(status, "/telemetry/logs") + " log lines, " +
          text_at(status, "/telemetry/segments") + " segments, " +
          text_at(status, "/telemetry/dropped") + " dropped\n";
  if (memory_bytes > 0) {
    text += "memory      " + std::to_string(memory_bytes >> 20) + " MiB (PSS of all processes)\n";
  }
  return text + "AWS APIs    nothing listens on 4566 yet\n";
}

}  // namespace zorya::cli
