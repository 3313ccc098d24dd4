#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>

namespace zorya::gateway {

/// The names one request goes by.
struct RequestIds {
  std::string request_id;           // version 4 UUID
  std::string extended_request_id;  // 16 characters of base64, the last one "="
};

RequestIds make_request_ids();

/// "1-<8 hex of the epoch second>-<24 hex>".
std::string make_trace_id(std::chrono::system_clock::time_point now);

/// 16 hex digits.
std::string make_segment_id();

/// Six characters of a-z and 0-9 that depend on `seed` alone: resource and deployment ids.
std::string short_id(std::string_view seed);

}  // namespace zorya::gateway
