#pragma once

#include "telemetry/sink.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace zorya::function_host {

/// The log of one environment: turns what its processes write into lines, bounds them, hands them
/// to the sink, and keeps the tail of the current invoke. One thread.
class LogStream {
 public:
  /// `sink` outlives this. `wrap_text`: under LogFormat JSON, lines of a custom runtime that are
  /// not JSON objects are wrapped as INFO records, as the service does.
  LogStream(telemetry::Sink& sink, std::string group, std::string stream, bool wrap_text);

  void append_output(std::string_view bytes);     // of standard output and error
  void append_platform(const std::string& line);  // empty: nothing
  void flush_partial();                           // ends a line that has no newline yet

  void begin_tail(std::string request_id);
  std::string take_tail();  // last 4 KiB since begin_tail, each line with its newline

  [[nodiscard]] const std::string& stream() const { return stream_; }

  /// "2026/11/26/[3]<32 hex>", new each time; with a log group of the function's own choice its
  /// name stands before the version.
  static std::string new_stream_name(std::string_view function, std::string_view version,
                                     bool own_group);

 private:
  void emit(std::string_view line);

  telemetry::Sink* sink_;
  std::string group_;
  std::string stream_;
  bool wrap_text_;
  std::string partial_;
  std::string tail_;
  std::string request_id_;
};

}  // namespace zorya::function_host
