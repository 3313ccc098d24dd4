#pragma once

#include "function_host/client.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace zorya::function_host {

/// `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
std::string json_quote(std::string_view text);

/// "2026-11-26T10:00:00.123Z"
std::string iso_time(std::chrono::system_clock::time_point time);

/// {"errorType":…,"errorMessage":…} as the service answers for a runtime that could not.
std::string error_payload(std::string_view error_type, std::string_view message);
/// "RequestId: <id> Error: Task timed out after 5.00 seconds"
std::string timeout_message(std::string_view request_id, std::chrono::seconds timeout);
/// "RequestId: <id> Error: Runtime exited with error: exit status 1", from a wait status.
std::string exit_message(std::string_view request_id, int wait_status);

enum class PhaseStatus { kSuccess, kError, kTimeout };

/// What a REPORT line says.
struct InvokeReport {
  std::string_view request_id;
  PhaseStatus status = PhaseStatus::kSuccess;
  std::string_view error_type;
  std::chrono::nanoseconds duration{0};
  std::optional<std::chrono::nanoseconds> init_duration;  // cold start of an on-demand environment
  std::optional<std::chrono::nanoseconds> restore_duration;         // the whole restore
  std::optional<std::chrono::nanoseconds> billed_restore_duration;  // runtime load and hooks
  int memory_size_mb = 0;
  int memory_used_mb_max = 0;
  std::string_view trace_id;    // "1-…"; empty: not traced
  std::string_view segment_id;  // of the function's segment
};

/// The platform's own lines in a function's log, in the function's format: the service's text lines
/// or its telemetry events. An empty answer: this format has no line for it. Pure; any thread.
/// Source: the fact sheet, 5.8, 9.2, 9.3; shapes of the events: 4.
class PlatformLog {
 public:
  struct Names {
    std::string function;
    std::string version;
    std::string runtime;  // "python:3.12"
    std::string region;
    bool snap_start = false;
    LogFormat format = LogFormat::kText;
    int memory_size_mb = 128;
  };
  explicit PlatformLog(Names names) : names_(std::move(names)) {}

  /// `phase`: "init", "invoke" (init again under an invoke) or "snap-start".
  [[nodiscard]] std::string init_start(std::string_view phase) const;
  [[nodiscard]] std::string init_report(std::string_view phase, std::chrono::nanoseconds duration,
                                        PhaseStatus status, std::string_view error_type) const;
  [[nodiscard]] std::string restore_start() const;
  [[nodiscard]] std::string restore_report(std::chrono::nanoseconds duration, PhaseStatus status,
                                           std::string_view error_type) const;
  [[nodiscard]] std::string start(std::string_view request_id, std::string_view trace_header) const;
  [[nodiscard]] std::string end(std::string_view request_id) const;
  [[nodiscard]] std::string report(const InvokeReport& report) const;

 private:
  [[nodiscard]] std::string event(std::string_view type, const std::string& record) const;
  [[nodiscard]] std::string version_texts() const;
  [[nodiscard]] std::string text_report(const InvokeReport& report) const;

  Names names_;
};

}  // namespace zorya::function_host
