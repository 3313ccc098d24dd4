#include "http/request_line.h"

#include "http/field.h"

#include <algorithm>

namespace zorya::http {
namespace {

constexpr std::size_t kMethodSizeMax = 32;

bool is_target_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7f;
}

/// Whether one of the two is the beginning of the other.
bool agrees(std::string_view text, std::string_view expected) {
  const std::size_t size = std::min(text.size(), expected.size());
  return text.substr(0, size) == expected.substr(0, size);
}

}  // namespace

bool may_begin_request(std::string_view bytes) {
  const std::size_t method_end = bytes.find(' ');
  const std::string_view method = bytes.substr(0, method_end);
  if (method.size() > kMethodSizeMax || (!bytes.empty() && !is_token(method))) return false;
  if (method_end == std::string_view::npos) return true;
  bytes.remove_prefix(method_end + 1);
  const auto target_end =
      std::find_if_not(bytes.begin(), bytes.end(), is_target_byte) - bytes.begin();
  bytes.remove_prefix(static_cast<std::size_t>(target_end));
  if (bytes.empty()) return true;
  if (target_end == 0) return false;
  return agrees(bytes, " HTTP/1.1\r\n") || agrees(bytes, " HTTP/1.0\r\n");
}

}  // namespace zorya::http
