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

/// The table that a key belongs to, in the caller's numbering. For counting, never for deciding.
using TableNumber = std::uint32_t;

struct KeyChange {
  KeyHash key;
  LockClass lock_class = LockClass::kUpdate;
  TableNumber table = 0;
};

/// What a transaction reads: every commit below `floor`, none from `ceiling` on, and of those
/// between all but `not_visible` (sorted, ascending).
struct Snapshot {
  CommitId floor = 0;
  CommitId ceiling = 0;
  std::span<const CommitId> not_visible;

  [[nodiscard]] bool sees(CommitId id) const;
};

/// An ordered number of a state of the catalogue; each schema change makes a greater one. 0: none.
using CatalogueVersion = std::uint64_t;

/// Which catalogue the record was made under. A change that the transaction may ignore (a comment,
/// a new table) is not in `changed`; whoever fills it in decides that.
struct CatalogueUse {
  CatalogueVersion seen = 0;     // the state that the transaction works with
  CatalogueVersion changed = 0;  // the last change of any table that the record touches
};

/// All that the verdict depends on besides the table of recent keys. Borrowed for the call.
struct WriteRecord {
  CommitId commit_id = 0;
  Snapshot snapshot;
  std::span<const KeyChange> changes;
  CatalogueUse catalogue = {};
};

}  // namespace zorya::adjudicator
