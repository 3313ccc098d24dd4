#include "base/random.h"

#include "base/check.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstddef>

namespace zorya::base {

void fill_random(std::span<std::uint8_t> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t got = ::getrandom(out.data() + filled, out.size() - filled, 0);
    if (got < 0 && errno == EINTR) continue;
    CHECK(got > 0, "getrandom failed");
    filled += static_cast<std::size_t>(got);
  }
}

std::uint64_t random_u64() {
  std::array<std::uint8_t, 8> bytes{};
  fill_random(bytes);
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

std::string random_alphanumeric(std::size_t count) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string text;
  text.reserve(count);
  while (text.size() < count) {
    std::array<std::uint8_t, 64> bytes{};
    fill_random(bytes);
    for (const std::uint8_t byte : bytes) {
      // 252 is the largest multiple of 36 below 256: above it a letter would be likelier than
      // others.
      if (byte < 252 && text.size() < count) text += kAlphabet[byte % kAlphabet.size()];
    }
  }
  return text;
}

std::string random_uuid() {
  std::array<std::uint8_t, 16> bytes{};
  fill_random(bytes);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 15];
  }
  return text;
}

}  // namespace zorya::base
