#pragma once

#include <compare>
#include <cstdint>
#include <span>

namespace zorya::adjudicator {

/// An ordered number of a commit. 0 is none. Where a single PostgreSQL decides, its full
/// transaction ids; under a log, positions. Ids are compared by snapshots only: a greater id need
/// not have committed later.
using CommitId = std::uint64_t;

/// What a row or an entry of a unique index is called here: 128 bits over the table, the key's
/// columns and the values' equality image. Two different keys of one hash cost a needless conflict,
/// never a missed one.
struct KeyHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const KeyHash&) const = default;
};

/// How a transaction uses a key, weakest first. An UPDATE that changes no key column is
/// kNoKeyUpdate; INSERT, DELETE and a change of a key column are kUpdate; marks have the class of
/// their clause.
enum class LockClass : std::uint8_t { kKeyShare, kShare, kNoKeyUpdate, kUpdate };
inline constexpr int kLockClassCount = 4;

struct KeyChange {
  KeyHash key;
  LockClass lock_class = LockClass::kUpdate;
};

/// What a transaction reads: every commit below `floor`, none from `ceiling` on, and of those
/// between all but `not_visible` (sorted, ascending).
struct Snapshot {
  CommitId floor = 0;
  CommitId ceiling = 0;
  std::span<const CommitId> not_visible;

  [[nodiscard]] bool sees(CommitId id) const;
};

/// All that the verdict depends on besides the table of recent keys. Borrowed for the call.
struct WriteRecord {
  CommitId commit_id = 0;
  Snapshot snapshot;
  std::span<const KeyChange> changes;
};

}  // namespace zorya::adjudicator
