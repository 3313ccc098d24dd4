#include "base/hash.h"

#include <array>

namespace zorya::base {
namespace {

__extension__ using Number = unsigned __int128;

constexpr Number make(unsigned long long high, unsigned long long low) {
  return (static_cast<Number>(high) << 64) | low;
}

constexpr Number kOffset = make(0x6c62272e07bb0142ULL, 0x62b821756295c58dULL);
constexpr Number kPrime = make(0x0000000001000000ULL, 0x000000000000013bULL);

}  // namespace

Hash128 fnv1a_128(std::string_view bytes) {
  Number hash = kOffset;
  for (const char byte : bytes) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= kPrime;
  }
  return {static_cast<unsigned long long>(hash >> 64), static_cast<unsigned long long>(hash)};
}

std::string to_hex(Hash128 hash) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned long long half : {hash.high, hash.low}) {
    for (int shift = 60; shift >= 0; shift -= 4) text.push_back(kDigits[(half >> shift) & 15]);
  }
  return text;
}

}  // namespace zorya::base
