#pragma once

#include "adjudicator/recent_keys.h"
#include "adjudicator/write_record.h"

namespace zorya::adjudicator {

enum class Verdict {
  kCommitted,      // remembered: the transaction may commit
  kConflict,       // another transaction that the snapshot does not see got there first
  kSchemaChanged,  // the record was made under a catalogue that is no longer the tables'
};

/// A verdict, and of a conflict what met what.
struct Decision {
  Verdict verdict = Verdict::kCommitted;
  bool as_a_whole = false;  // kConflict: with a commit of which no keys are known
  KeyChange ours = {};      // kConflict over a key: the first of the record that conflicts
  LockClass theirs = LockClass::kUpdate;  // and the other's class
};

/// Decides `record`. A catalogue that changed goes first: keys that were made under two states of a
/// table cannot be compared. Then a key conflicts if its last commit in a conflicting class is not
/// visible in the record's snapshot. On kCommitted every key is remembered under the record's
/// commit id; otherwise only counters changed. The verdict depends on the record and `recent`
/// alone: no clock, no id of PostgreSQL's beside the commit ids, no order of a hash table. A record
/// may be decided in parts: earlier parts of the same commit id do not conflict with later ones.
/// Under the caller's decision lock. Throws nothing and allocates nothing.
Decision decide(const WriteRecord& record, RecentKeys& recent) noexcept;

}  // namespace zorya::adjudicator
