#pragma once

#include <string_view>

namespace zorya::base {

/// Prints where and what, and aborts.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view detail);

}  // namespace zorya::base

/// A broken invariant: on in release too, for stopping is better than going on wrong. The detail is
/// evaluated only on failure.
#define CHECK(condition, detail)                                             \
  do {                                                                       \
    if (!(condition)) [[unlikely]] {                                         \
      ::zorya::base::check_failed(__FILE__, __LINE__, #condition, (detail)); \
    }                                                                        \
  } while (false)
