#pragma once

#include "adjudicator/write_record.h"

#include <cstdint>

namespace zorya::adjudicator {

/// How a key's hash is made: start from kEmptyKey, add what names the key space (the table, the
/// columns, how they compare), then each value. A value is given as two hashes, independent of each
/// other, of its *equality image*: what is the same for any two values that the index takes for
/// equal (numeric 1.0 and 1.00, -0.0 and 0.0, padded text with and without its padding). Pure
/// arithmetic, the same on every machine.
inline constexpr std::uint64_t kHashSeedHigh = 0x5a6f727961204b31U;
inline constexpr std::uint64_t kHashSeedLow = 0x5a6f727961204b32U;
inline constexpr KeyHash kEmptyKey{kHashSeedHigh, kHashSeedLow};

constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdU;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53U;
  x ^= x >> 33;
  return x;
}

/// Adds a value by two hashes of its image.
constexpr void add(KeyHash* hash, std::uint64_t high, std::uint64_t low) noexcept {
  hash->high = mix(hash->high * 0x9e3779b97f4a7c15U + high + 1);
  hash->low = mix(hash->low * 0xc2b2ae3d27d4eb4fU + low + 1);
}
/// Adds a number as it is.
constexpr void add(KeyHash* hash, std::uint64_t value) noexcept { add(hash, value, value); }

/// Adds a null, where nulls are taken for equal; elsewhere a row with one has no key.
constexpr void add_null(KeyHash* hash) noexcept { add(hash, 0x6e756c6cU); }

}  // namespace zorya::adjudicator
