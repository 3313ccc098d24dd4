#pragma once

#include <array>
#include <string_view>

/// The parameters that a session may set, by whatever door: SET, SET LOCAL, RESET, set_config,
/// CREATE FUNCTION ... SET, and the startup packet (there the session router asks). Plain data,
/// without PostgreSQL's headers, so that the router can compile it too. Source: fact sheet 6.5,
/// recorded from a live cluster, October 2026. Everything else is refused with 0A000 and
/// kSettingRefused (FATAL in the startup packet).
namespace zorya::query_processor::gate {

inline constexpr std::array<std::string_view, 15> kSettableParameters = {
    "application_name",
    "client_encoding",
    "datestyle",
    "dsql.enable_batched_nestloop",
    "enable_bitmapscan",
    "enable_hashjoin",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_seqscan",
    "extra_float_digits",
    "intervalstyle",
    "search_path",
};

/// `role` and `timezone` are settable too, and named by more than one spelling in the grammar.
inline constexpr std::array<std::string_view, 2> kSettableSpecialParameters = {"role", "timezone"};

/// The refusal around the parameter's name: kSettingRefusedHead + name + kSettingRefusedTail.
inline constexpr std::string_view kSettingRefusedHead = "setting configuration parameter \"";
inline constexpr std::string_view kSettingRefusedTail = "\" not supported";

/// Names of parameters compare without case, ASCII only, as in PostgreSQL's guc_name_compare.
constexpr bool same_parameter(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    const auto lower = [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    if (lower(left[i]) != lower(right[i])) return false;
  }
  return true;
}

/// True if a session may set `name`. Any thread.
constexpr bool is_settable(std::string_view name) {
  for (const std::string_view known : kSettableParameters) {
    if (same_parameter(known, name)) return true;
  }
  for (const std::string_view known : kSettableSpecialParameters) {
    if (same_parameter(known, name)) return true;
  }
  return false;
}

static_assert(is_settable("DateStyle") && is_settable("TimeZone"));
static_assert(!is_settable("work_mem") && !is_settable(""));

/// What the service says it is. SHOW server_version, ParameterStatus, SHOW server_version_num,
/// version(). Source: fact sheet 0.1, recorded September 2026.
inline constexpr std::string_view kServerVersion = "16.15";
inline constexpr int kServerVersionNumber = 160015;
/// SHOW max_connections, unrelated to the real limit. Fact sheet 3.1.
inline constexpr std::string_view kReportedMaxConnections = "20";

}  // namespace zorya::query_processor::gate
