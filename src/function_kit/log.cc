#include "function_kit/log.h"

#include <boost/json/serialize.hpp>
#include <unistd.h>

#include <array>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <utility>

namespace function_kit {
namespace {

constexpr std::array<std::string_view, 6> kNames = {"TRACE", "DEBUG", "INFO",
                                                    "WARN",  "ERROR", "FATAL"};

std::string timestamp() {
  const auto now = std::chrono::system_clock::now();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - seconds).count();
  const std::time_t time = std::chrono::system_clock::to_time_t(seconds);
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 40> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text.data() + length, text.size() - length, ".%03dZ", static_cast<int>(ms));
  return text.data();
}

/// One write per line, so that lines of several processes do not mix on a pipe.
void write_to_stdout(std::string_view line) {
  while (!line.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, line.data(), line.size());
    if (written <= 0) return;  // nobody listens: a log line is not worth the invocation
    line.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

LogLevel log_level_from_environment() {
  const char* value = std::getenv("AWS_LAMBDA_LOG_LEVEL");
  std::string name = value == nullptr ? "" : value;
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<LogLevel>(i);
  }
  return LogLevel::kInfo;
}

Logger::Logger(LogLevel level, std::string request_id, Write write)
    : level_(level),
      request_id_(std::move(request_id)),
      write_(write ? std::move(write) : Write(write_to_stdout)) {}

void Logger::log(LogLevel level, std::string_view message, boost::json::object fields) const {
  if (level < level_) return;
  boost::json::object record;
  record["timestamp"] = timestamp();
  record["level"] = kNames[static_cast<std::size_t>(level)];
  record["message"] = message;
  if (!request_id_.empty()) record["requestId"] = request_id_;
  for (auto& field : fields) {
    // What the platform filters by is not to be overwritten.
    if (!record.contains(field.key())) record[field.key()] = std::move(field.value());
  }
  write_(boost::json::serialize(record) + "\n");
}

}  // namespace function_kit
