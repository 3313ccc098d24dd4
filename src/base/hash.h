#pragma once

#include <string>
#include <string_view>

namespace zorya::base {

/// A 128-bit number as two halves.
struct Hash128 {
  unsigned long long high = 0;
  unsigned long long low = 0;
  bool operator==(const Hash128&) const = default;
};

/// FNV-1a of 128 bits: names content so that the same content has the same name on every machine
/// and in every version. Not for secrets and not against forgers. Source: draft-eastlake-fnv,
/// 128-bit parameters.
Hash128 fnv1a_128(std::string_view bytes);

/// 32 characters of 0-9 and a-f.
std::string to_hex(Hash128 hash);

}  // namespace zorya::base
