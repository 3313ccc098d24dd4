#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace zorya::base {

/// Fills `out` from the kernel's generator. Never fails: without randomness there is nothing safe
/// to do (CHECK).
void fill_random(std::span<std::uint8_t> out);

/// A random 64-bit number from the kernel's generator.
std::uint64_t random_u64();

/// `count` random characters of a-z and 0-9.
std::string random_alphanumeric(std::size_t count);

/// A version 4 UUID in lower case: "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx".
std::string random_uuid();

}  // namespace zorya::base
