#include "gateway/ids.h"

#include "base/random.h"
#include "http/base64.h"

#include <cstdint>
#include <cstdio>

namespace zorya::gateway {
namespace {

std::string hex_of(const std::uint8_t* bytes, std::size_t size) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  text.reserve(2 * size);
  for (std::size_t i = 0; i < size; ++i) {
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 15];
  }
  return text;
}

}  // namespace

RequestIds make_request_ids() {
  std::array<std::uint8_t, 11> bytes{};
  base::fill_random(bytes);
  const std::string_view view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return {base::random_uuid(), http::base64_encode(view)};
}

std::string make_trace_id(std::chrono::system_clock::time_point now) {
  std::array<std::uint8_t, 12> bytes{};
  base::fill_random(bytes);
  char head[16];
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  std::snprintf(head, sizeof head, "1-%08x-", static_cast<unsigned>(seconds));
  return head + hex_of(bytes.data(), bytes.size());
}

std::string make_segment_id() {
  std::array<std::uint8_t, 8> bytes{};
  base::fill_random(bytes);
  return hex_of(bytes.data(), bytes.size());
}

std::string short_id(std::string_view seed) {
  // FNV-1a; the id must be the same at every start, which std::hash does not promise.
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : seed) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  }
  hash ^= hash >> 29;
  std::string id;
  for (int i = 0; i < 6; ++i) {
    id += "abcdefghijklmnopqrstuvwxyz0123456789"[hash % 36];
    hash /= 36;
  }
  return id;
}

}  // namespace zorya::gateway
