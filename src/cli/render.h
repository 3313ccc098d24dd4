#pragma once

#include "cli/instance_file.h"
#include "telemetry/reader.h"
#include "telemetry/segment.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace zorya::cli {

/// "2026-11-26T02:50:25.123Z".
std::string time_text(std::chrono::system_clock::time_point time);

/// One log event as a line: time, function, stream's version, message. Control characters of the
/// message but tabs are shown as '?', so that a log cannot steer the terminal.
std::string log_line(const telemetry::LogEvent& event);
std::string log_json(const telemetry::LogEvent& event);

std::string trace_line(const telemetry::TraceSummary& trace);
std::string trace_summary_json(const telemetry::TraceSummary& trace);

/// The segments of a trace as a tree: offset from the trace's start, duration, name, state.
std::string trace_tree(const std::vector<telemetry::Segment>& roots);
std::string trace_json(const std::vector<telemetry::Segment>& roots);

/// Lines for /etc/hosts.
std::string hosts_lines(const InstanceInfo& info);

/// A line for a shell that opens psql on the cluster, with a fresh token.
struct Program {
  std::filesystem::path zorya;
  std::filesystem::path data_folder;
  bool is_default_data_folder = false;
};
std::string psql_line(const ReachableCluster& cluster, const std::string& ca_file,
                      const Program& program);

/// `text` as one word of a POSIX shell.
std::string shell_word(std::string_view text);

/// {"forced": [...]} of a force request as lines, or what the others answer.
std::string forced_lines(std::string_view answer_json);

/// The answer to a status request (JSON) as lines. `memory_bytes`: of the process tree, 0: unknown.
std::string status_lines(std::string_view status_json, std::uint64_t memory_bytes);

}  // namespace zorya::cli
