#include "function_host/log_stream.h"

#include "base/clock.h"
#include "base/random.h"
#include "function_host/platform_log.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <span>
#include <utility>

namespace zorya::function_host {
namespace {

constexpr std::size_t kLineBytesMax = 256U << 10;
constexpr std::size_t kTailBytesMax = 4096;

}  // namespace

LogStream::LogStream(telemetry::Sink& sink, std::string group, std::string stream, bool wrap_text)
    : sink_(&sink), group_(std::move(group)), stream_(std::move(stream)), wrap_text_(wrap_text) {}

void LogStream::append_output(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t room = kLineBytesMax - partial_.size();
    const std::size_t newline = bytes.substr(0, room).find('\n');
    if (newline == std::string_view::npos) {
      const std::size_t count = std::min(room, bytes.size());
      partial_.append(bytes.substr(0, count));
      bytes.remove_prefix(count);
      if (partial_.size() == kLineBytesMax) flush_partial();
      continue;
    }
    partial_.append(bytes.substr(0, newline));
    bytes.remove_prefix(newline + 1);
    const std::string line = std::exchange(partial_, {});
    if (!line.empty()) emit(line);
  }
}

void LogStream::flush_partial() {
  const std::string line = std::exchange(partial_, {});
  if (!line.empty()) emit(line);
}

void LogStream::append_platform(const std::string& line) {
  if (line.empty()) return;
  flush_partial();
  const bool wrap = std::exchange(wrap_text_, false);
  emit(line);
  wrap_text_ = wrap;
}

void LogStream::emit(std::string_view line) {
  std::string message(line);
  const auto now = base::system_clock().now();
  if (wrap_text_ && !message.starts_with('{')) {
    message = "{\"timestamp\":\"" + iso_time(now) +
              "\",\"level\":\"INFO\",\"message\":" + json_quote(line) +
              ",\"requestId\":" + json_quote(request_id_) + "}";
  }
  tail_.append(message).push_back('\n');
  if (tail_.size() > 16 * kTailBytesMax) tail_.erase(0, tail_.size() - kTailBytesMax);
  sink_->log({now, group_, stream_, std::move(message)});
}

void LogStream::begin_tail(std::string request_id) {
  tail_.clear();
  request_id_ = std::move(request_id);
}

std::string LogStream::take_tail() {
  std::string tail = std::exchange(tail_, {});
  if (tail.size() > kTailBytesMax) tail.erase(0, tail.size() - kTailBytesMax);
  return tail;
}

std::string LogStream::new_stream_name(std::string_view function, std::string_view version,
                                       bool own_group) {
  std::array<std::uint8_t, 16> bytes{};
  base::fill_random(std::span<std::uint8_t>(bytes));
  const std::time_t now = std::chrono::system_clock::to_time_t(base::system_clock().now());
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> date{};
  std::strftime(date.data(), date.size(), "%Y/%m/%d/", &parts);
  std::string name = date.data();
  if (own_group) name.append(function);
  name.append("[").append(version).append("]");
  for (const std::uint8_t byte : bytes) {
    name.push_back("0123456789abcdef"[byte >> 4]);
    name.push_back("0123456789abcdef"[byte & 15]);
  }
  return name;
}

}  // namespace zorya::function_host
