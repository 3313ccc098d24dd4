#pragma once

#include <boost/json/object.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace function_kit {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError, kFatal };

/// The level that AWS_LAMBDA_LOG_LEVEL names; kInfo if it is not set or names none.
LogLevel log_level_from_environment();

/// Writes JSON lines in the form of Lambda's JSON log format:
///   {"timestamp":"2026-11-20T10:00:00.123Z","level":"INFO","message":…,"requestId":…, fields…}
/// Each record is one write, so that it is one event. Lines below `level` are dropped.
class Logger {
 public:
  using Write = std::function<void(std::string_view line)>;

  /// `write` gets a line with its newline; the default writes to standard output.
  Logger(LogLevel level, std::string request_id, Write write = {});

  void log(LogLevel level, std::string_view message, boost::json::object fields = {}) const;
  void debug(std::string_view message, boost::json::object fields = {}) const {
    log(LogLevel::kDebug, message, std::move(fields));
  }
  void info(std::string_view message, boost::json::object fields = {}) const {
    log(LogLevel::kInfo, message, std::move(fields));
  }
  void warn(std::string_view message, boost::json::object fields = {}) const {
    log(LogLevel::kWarn, message, std::move(fields));
  }
  void fatal(std::string_view message, boost::json::object fields = {}) const {
    log(LogLevel::kFatal, message, std::move(fields));
  }
  void error(std::string_view message, boost::json::object fields = {}) const {
    log(LogLevel::kError, message, std::move(fields));
  }

 private:
  LogLevel level_;
  std::string request_id_;
  Write write_;
};

}  // namespace function_kit
