#include "adjudicator/conflict_table.h"

#include "adjudicator/plant.h"

namespace zorya::adjudicator {
namespace {

constexpr unsigned bit(LockClass c) { return 1U << static_cast<unsigned>(c); }

// Row: one class; set bits: the classes it conflicts with. It is the published table of the service
// (insert, delete, key update and FOR UPDATE against everything; a non-key update against all but
// FOR KEY SHARE) with PostgreSQL's FOR SHARE in its place between the two.
constexpr unsigned kConflictsWith[kLockClassCount] = {
    /* kKeyShare    */ bit(LockClass::kUpdate),
    /* kShare       */ bit(LockClass::kUpdate) | bit(LockClass::kNoKeyUpdate),
    /* kNoKeyUpdate */ bit(LockClass::kUpdate) | bit(LockClass::kNoKeyUpdate) |
        bit(LockClass::kShare),
    /* kUpdate      */ bit(LockClass::kUpdate) | bit(LockClass::kNoKeyUpdate) |
        bit(LockClass::kShare) | bit(LockClass::kKeyShare),
};

constexpr unsigned conflict_set(LockClass c) { return kConflictsWith[static_cast<unsigned>(c)]; }

}  // namespace

bool conflicts(LockClass ours, LockClass theirs) {
  if (planted(Fault::kOneOrderOnly) && ours > theirs) return false;
  return (conflict_set(ours) & bit(theirs)) != 0;
}

bool covers(LockClass later, LockClass earlier) {
  return (conflict_set(earlier) & ~conflict_set(later)) == 0;
}

}  // namespace zorya::adjudicator
