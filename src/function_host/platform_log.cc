#include "function_host/platform_log.h"

#include "base/clock.h"

#include <sys/wait.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace zorya::function_host {
namespace {

using std::chrono::nanoseconds;

std::string milliseconds_text(nanoseconds duration) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.2f", static_cast<double>(duration.count()) / 1e6);
  return text.data();
}

long long ceil_ms(nanoseconds duration) {
  return std::chrono::ceil<std::chrono::milliseconds>(duration).count();
}

const char* status_text(PhaseStatus status) {
  switch (status) {
    case PhaseStatus::kSuccess:
      return "success";
    case PhaseStatus::kError:
      return "error";
    case PhaseStatus::kTimeout:
      return "timeout";
  }
  return "error";
}

/// Tab-separated "Status: …" parts of a text line; nothing for a success.
std::string failure_text(PhaseStatus status, std::string_view error_type) {
  if (status == PhaseStatus::kSuccess) return {};
  std::string text = std::string("\tStatus: ") + status_text(status);
  if (status == PhaseStatus::kError && !error_type.empty()) {
    text.append("\tError Type: ").append(error_type);
  }
  return text;
}

std::string failure_fields(PhaseStatus status, std::string_view error_type) {
  std::string fields = std::string(",\"status\":\"") + status_text(status) + "\"";
  if (status == PhaseStatus::kError && !error_type.empty()) {
    fields += ",\"errorType\":" + json_quote(error_type);
  }
  return fields;
}

/// Length of the UTF-8 sequence at `at`, or 0 if there is none. RFC 3629, section 4.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const unsigned first = byte(0);
  std::size_t length = 0;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) length = 2;
  if (first >= 0xe0 && first < 0xf0) length = 3;
  if (first >= 0xf0 && first < 0xf5) length = 4;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return 0;
  }
  if (first == 0xe0 && byte(1) < 0xa0) return 0;
  if (first == 0xed && byte(1) >= 0xa0) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) >= 0x90) return 0;
  return length;
}

}  // namespace

std::string json_quote(std::string_view text) {
  std::string out = "\"";
  out.reserve(text.size() + 2);
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const std::size_t length = utf8_length(text, at);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      ++at;
    } else if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
      ++at;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : escape.data();
      ++at;
    } else {
      out.append(text.substr(at, length));
      at += length;
    }
  }
  out.push_back('"');
  return out;
}

std::string iso_time(std::chrono::system_clock::time_point time) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 48> text{};
  const std::size_t n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + n, text.size() - n, ".%03dZ", static_cast<int>(ms % 1000));
  return text.data();
}

std::string error_payload(std::string_view error_type, std::string_view message) {
  return "{\"errorType\":" + json_quote(error_type) + ",\"errorMessage\":" + json_quote(message) +
         "}";
}

std::string timeout_message(std::string_view request_id, std::chrono::seconds timeout) {
  return "RequestId: " + std::string(request_id) + " Error: Task timed out after " +
         std::to_string(timeout.count()) + ".00 seconds";
}

std::string exit_message(std::string_view request_id, int wait_status) {
  std::string text = "RequestId: " + std::string(request_id) + " Error: Runtime exited ";
  if (WIFSIGNALED(wait_status)) {
    // The service's formatter is Go's: it spells signals in its own words.
    const int signal = WTERMSIG(wait_status);
    const char* name = signal == SIGSEGV   ? "segmentation fault"
                       : signal == SIGABRT ? "aborted"
                       : signal == SIGTERM ? "terminated"
                       : signal == SIGKILL ? "killed"
                                           : nullptr;
    return text +
           "with error: signal: " + (name != nullptr ? std::string(name) : std::to_string(signal));
  }
  if (WEXITSTATUS(wait_status) == 0) return text + "without providing a reason";
  return text + "with error: exit status " + std::to_string(WEXITSTATUS(wait_status));
}

std::string PlatformLog::event(std::string_view type, const std::string& record) const {
  return "{\"time\":\"" + iso_time(base::system_clock().now()) + "\",\"type\":\"platform." +
         std::string(type) + "\",\"record\":{" + record + "}}";
}

std::string PlatformLog::version_texts() const {
  // The service's second field names a build of its runtime by hash; ours is the interpreter's
  // name.
  return "Runtime Version: " + names_.runtime +
         "\tRuntime Version ARN: arn:aws:lambda:" + names_.region + "::runtime:" + names_.runtime;
}

std::string PlatformLog::init_start(std::string_view phase) const {
  if (names_.format == LogFormat::kText) return "INIT_START " + version_texts();
  return event("initStart", "\"initializationType\":\"" +
                                std::string(names_.snap_start ? "snap-start" : "on-demand") +
                                "\",\"phase\":" + json_quote(phase) +
                                ",\"runtimeVersion\":" + json_quote(names_.runtime) +
                                ",\"functionName\":" + json_quote(names_.function) +
                                ",\"functionVersion\":" + json_quote(names_.version));
}

std::string PlatformLog::init_report(std::string_view phase, nanoseconds duration,
                                     PhaseStatus status, std::string_view error_type) const {
  // An on-demand INIT that went well is told by the REPORT of its first invoke.
  if (phase == "init" && status == PhaseStatus::kSuccess) return {};
  if (names_.format == LogFormat::kText) {
    std::string line = "INIT_REPORT Init Duration: " + milliseconds_text(duration) +
                       " ms\tPhase: " + std::string(phase);
    if (status == PhaseStatus::kSuccess) return line + "\tStatus: success";
    return line + failure_text(status, error_type);
  }
  return event("initReport",
               "\"initializationType\":\"" +
                   std::string(names_.snap_start ? "snap-start" : "on-demand") +
                   "\",\"phase\":" + json_quote(phase) + failure_fields(status, error_type) +
                   ",\"metrics\":{\"durationMs\":" + milliseconds_text(duration) + "}");
}

std::string PlatformLog::restore_start() const {
  if (names_.format == LogFormat::kText) return "RESTORE_START " + version_texts();
  return event("restoreStart", "\"runtimeVersion\":" + json_quote(names_.runtime) +
                                   ",\"functionName\":" + json_quote(names_.function) +
                                   ",\"functionVersion\":" + json_quote(names_.version));
}

std::string PlatformLog::restore_report(nanoseconds duration, PhaseStatus status,
                                        std::string_view error_type) const {
  if (names_.format == LogFormat::kText) {
    return "RESTORE_REPORT Restore Duration: " + milliseconds_text(duration) + " ms" +
           failure_text(status, error_type);
  }
  return event("restoreReport", failure_fields(status, error_type).substr(1) +
                                    ",\"metrics\":{\"durationMs\":" + milliseconds_text(duration) +
                                    "}");
}

std::string PlatformLog::start(std::string_view request_id, std::string_view trace_header) const {
  if (names_.format == LogFormat::kText) {
    return "START RequestId: " + std::string(request_id) + " Version: " + names_.version;
  }
  std::string record =
      "\"requestId\":" + json_quote(request_id) + ",\"version\":" + json_quote(names_.version);
  if (!trace_header.empty()) {
    record +=
        ",\"tracing\":{\"type\":\"X-Amzn-Trace-Id\",\"value\":" + json_quote(trace_header) + "}";
  }
  return event("start", record);
}

std::string PlatformLog::end(std::string_view request_id) const {
  if (names_.format == LogFormat::kJson) return {};
  return "END RequestId: " + std::string(request_id);
}

std::string PlatformLog::text_report(const InvokeReport& report) const {
  const nanoseconds restore = report.billed_restore_duration.value_or(nanoseconds{0});
  const long long billed = ceil_ms(report.duration) + ceil_ms(restore) +
                           ceil_ms(report.init_duration.value_or(nanoseconds{0}));
  std::string line = "REPORT RequestId: " + std::string(report.request_id) +
                     "\tDuration: " + milliseconds_text(report.duration) +
                     " ms\tBilled Duration: " + std::to_string(billed) +
                     " ms\tMemory Size: " + std::to_string(report.memory_size_mb) +
                     " MB\tMax Memory Used: " + std::to_string(report.memory_used_mb_max) + " MB\t";
  if (report.init_duration) {
    line += "Init Duration: " + milliseconds_text(*report.init_duration) + " ms\t";
  }
  if (report.restore_duration) {
    line += "Restore Duration: " + milliseconds_text(*report.restore_duration) +
            " ms\tBilled Restore Duration: " + std::to_string(ceil_ms(restore)) + " ms\t";
  }
  if (!report.trace_id.empty()) {
    line += "XRAY TraceId: " + std::string(report.trace_id) +
            "\tSegmentId: " + std::string(report.segment_id) + "\tSampled: true\t";
  }
  if (report.status != PhaseStatus::kSuccess) {
    line += failure_text(report.status, report.error_type).substr(1) + "\t";
  }
  return line;
}

std::string PlatformLog::report(const InvokeReport& report) const {
  if (names_.format == LogFormat::kText) return text_report(report);
  const nanoseconds restore = report.billed_restore_duration.value_or(nanoseconds{0});
  const long long billed = ceil_ms(report.duration) + ceil_ms(restore) +
                           ceil_ms(report.init_duration.value_or(nanoseconds{0}));
  std::string metrics = "\"durationMs\":" + milliseconds_text(report.duration) +
                        ",\"billedDurationMs\":" + std::to_string(billed) +
                        ",\"memorySizeMB\":" + std::to_string(report.memory_size_mb) +
                        ",\"maxMemoryUsedMB\":" + std::to_string(report.memory_used_mb_max);
  if (report.init_duration) {
    metrics += ",\"initDurationMs\":" + milliseconds_text(*report.init_duration);
  }
  if (report.restore_duration) {
    metrics += ",\"restoreDurationMs\":" + milliseconds_text(*report.restore_duration) +
               ",\"billedRestoreDurationMs\":" + std::to_string(ceil_ms(restore));
  }
  std::string record = "\"requestId\":" + json_quote(report.request_id) + ",\"metrics\":{" +
                       metrics + "}" + failure_fields(report.status, report.error_type);
  if (!report.trace_id.empty()) {
    record += ",\"tracing\":{\"spanId\":" + json_quote(report.segment_id) +
              ",\"type\":\"X-Amzn-Trace-Id\",\"value\":" +
              json_quote("Root=" + std::string(report.trace_id) +
                         ";Parent=" + std::string(report.segment_id) + ";Sampled=1") +
              "}";
  }
  return event("report", record);
}

}  // namespace zorya::function_host
