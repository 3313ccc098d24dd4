#pragma once

#include "base/result.h"
#include "telemetry/segment.h"
#include "telemetry/sink.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace zorya::telemetry {

/// A place in the log; what was written later has a greater one. 0 is before everything.
using Cursor = std::int64_t;

/// Which log events; empty members do not restrict.
struct LogQuery {
  std::string group{};                                           // exactly
  std::string stream{};                                          // exactly
  std::optional<std::chrono::system_clock::time_point> since{};  // at or after
  std::optional<std::chrono::system_clock::time_point> until{};  // before
  std::string contains{};    // substring of the message, case-sensitive
  Cursor after = 0;          // written after this place
  std::size_t limit = 1000;  // at most 10,000
  bool newest = false;       // of more than `limit`, give the newest instead of the oldest
};

struct LogPage {
  std::vector<LogEvent> events;  // in the order they were written
  Cursor cursor = 0;  // pass as `after` to follow; where the last event or the query's `after` is
};

/// One trace in a list.
struct TraceSummary {
  std::string trace_id;
  std::chrono::system_clock::time_point start;
  std::chrono::microseconds duration{0};
  std::string root_name;    // of the segment without a parent, or the earliest
  std::string http_method;  // of the root; may be empty
  std::string http_url;
  int http_status = 0;  // 0: unknown
  bool error = false;   // any segment of it
  bool fault = false;
  bool throttle = false;
  int segment_count = 0;  // documents
};

/// Reads a store's file, also while another process writes it. Not for several threads at once.
class Reader {
 public:
  /// kNotFound if there is no file; kFailedPrecondition if it is not of this format.
  static base::Result<std::unique_ptr<Reader>> open(const std::filesystem::path& path);
  virtual ~Reader() = default;

  virtual base::Result<LogPage> logs(const LogQuery& query) = 0;

  /// The log groups with at least one event, sorted.
  virtual base::Result<std::vector<std::string>> groups() = 0;

  /// The newest traces, newest first; at most 1,000.
  virtual base::Result<std::vector<TraceSummary>> traces(std::size_t limit) = 0;

  /// All segments of one trace as a forest by parent, each level by start time. kNotFound.
  virtual base::Result<std::vector<Segment>> trace(std::string_view trace_id) = 0;
};

}  // namespace zorya::telemetry
