#pragma once

#include <chrono>
#include <string>

namespace zorya::telemetry {

/// One line of a function's log, as CloudWatch Logs would hold it.
struct LogEvent {
  std::chrono::system_clock::time_point time;
  std::string group;    // "/aws/lambda/<function>"
  std::string stream;   // "2026/11/26/[<version>]<32 hex>"
  std::string message;  // without the newline; up to 256 KiB, longer is cut by the sink
};

/// Takes logs and traces in without ever waiting: a full queue drops and counts. Any thread.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void log(LogEvent event) noexcept = 0;
  /// One X-Ray segment or subsegment document (JSON), as it came over UDP or was made by the
  /// platform.
  virtual void segment(std::string document) noexcept = 0;
};

}  // namespace zorya::telemetry
