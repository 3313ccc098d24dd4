#pragma once

#include <cstdint>

/// Transactions that the session router ended for the sake of others: in the way of a schema
/// change, or idle past the age limit.
namespace zorya::query_processor {

/// What was done to one of them.
enum class Wound : std::uint8_t {
  kRolledBack,  // idle in a transaction: it was made to fail
  kCopyFailed,  // waiting for COPY data: the COPY was made to fail
  kCancelled,   // running: a cancel was sent; autovacuum's and background jobs' included
  kTerminated,  // not to be stopped otherwise
  kAged,        // idle past the age limit: it, or its COPY, was made to fail
  kCount
};

}  // namespace zorya::query_processor
