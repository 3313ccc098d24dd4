#pragma once

#include "adjudicator/recent_keys.h"
#include "adjudicator/write_record.h"

namespace zorya::adjudicator {

enum class Verdict {
  kCommitted,  // remembered: the transaction may commit
  kConflict,   // another transaction that the snapshot does not see got there first
  kNoRoom,     // nothing more can be remembered; refuse it as a conflict, trying again later helps
};

/// Decides `record`: a key conflicts if its last commit in a conflicting class is not visible in
/// the record's snapshot. On kCommitted every key is remembered under the record's commit id;
/// otherwise nothing changed. The verdict depends on the record and `recent` alone: no clock, no id
/// of PostgreSQL's beside the commit ids, no order of a hash table. A record may be decided in
/// parts: earlier parts of the same commit id do not conflict with later ones. Under the caller's
/// decision lock. Throws nothing and allocates nothing.
Verdict decide(const WriteRecord& record, RecentKeys& recent) noexcept;

}  // namespace zorya::adjudicator
