#pragma once

// PostgreSQL's own headers come in through this one first: the standard library must precede them,
// because they redefine printf and friends as macros.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

// postgres.h is the first of them.
// clang-format off
extern "C" {
#include "postgres.h"
#include "fmgr.h"
}
// clang-format on

#undef printf
#undef fprintf
#undef sprintf
#undef snprintf
#undef vprintf
#undef vfprintf
#undef vsprintf
#undef vsnprintf
#undef strerror
#undef strerror_r
#undef gettext
#undef dgettext
#undef ngettext
#undef dngettext

/// Defines a function that SQL can name, visible though the module hides everything else:
/// ZORYA_SQL_FUNCTION(name) { ... PG_RETURN_...; }, with `fcinfo` in reach.
#define ZORYA_SQL_FUNCTION(name)                                                   \
  extern "C" {                                                                     \
  __attribute__((visibility("default"))) Datum name(PG_FUNCTION_ARGS);             \
  __attribute__((visibility("default"))) const Pg_finfo_record* pg_finfo_##name(); \
  const Pg_finfo_record* pg_finfo_##name() {                                       \
    static const Pg_finfo_record info = {1};                                       \
    return &info;                                                                  \
  }                                                                                \
  }                                                                                \
  Datum name([[maybe_unused]] PG_FUNCTION_ARGS)
