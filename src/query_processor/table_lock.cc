// Locking rows: marks for the adjudicator, never a lock.
#include "query_processor/backend.h"
#include "query_processor/forced_outcomes.h"
#include "query_processor/identity.h"
#include "query_processor/limits.h"
#include "query_processor/located_row.h"
#include "query_processor/pg/boundary.h"
#include "query_processor/pg/version.h"
#include "query_processor/plant.h"
#include "query_processor/table_am.h"

namespace zorya::query_processor {
namespace {

using adjudicator::LockClass;

LockClass lock_class_of(LockTupleMode mode) {
  switch (mode) {
    case LockTupleKeyShare:
      return LockClass::kKeyShare;
    case LockTupleShare:
      return LockClass::kShare;
    case LockTupleNoKeyExclusive:
      return LockClass::kNoKeyUpdate;
    case LockTupleExclusive:
      break;
  }
  return LockClass::kUpdate;
}

/// A parent that a child fell back to when its own parent was removed.
bool marked_in_cascade(const Entry& entry, LockClass lock_class) {
  return lock_class == LockClass::kKeyShare && backend->write_set.hidden_count(entry.relation) > 0;
}

void mark(Entry* entry, LockClass lock_class) {
  if (planted("skip_mark_in_cascade") && marked_in_cascade(*entry, lock_class)) return;
  if (planted("skip_mark") || WriteSet::is_marked(*entry, lock_class)) return;
  check_room_for_mark();
  pg::enter([&]() -> pg::Result<void> {
    backend->write_set.add_mark(*entry, lock_class);
    return {};
  });
}

void mark_own(adjudicator::KeyChange mark) {
  pg::enter([&]() -> pg::Result<void> {
    backend->write_set.add_own_mark(mark);
    return {};
  });
}

void fill_slot(Relation relation, Located* located, TupleTableSlot* slot) {
  if (located->version != nullptr) return store_version(located->version, slot);
  auto* buffer_slot = reinterpret_cast<BufferHeapTupleTableSlot*>(slot);
  const HeapTupleData tuple = located->tuple;
  ExecClearTuple(slot);
  buffer_slot->base.tupdata = tuple;
  buffer_slot->base.tupdata.t_tableOid = RelationGetRelid(relation);
  slot->tts_tableOid = RelationGetRelid(relation);
  // The slot takes the pin over.
  ExecStorePinnedBufferHeapTuple(&buffer_slot->base.tupdata, slot, located->buffer);
  located->buffer = InvalidBuffer;
}

/// FOR UPDATE and its like: a mark for the adjudicator, never a lock; so NOWAIT and SKIP LOCKED
/// have nothing to say.
TM_Result lock(Relation relation, ItemPointer tid, Snapshot snapshot, TupleTableSlot* slot,
               CommandId command, LockTupleMode mode, LockWaitPolicy policy, uint8 flags,
               TM_FailureData* failure) {
  if (nobody_else_can_see(relation)) {
    return heap_am()->tuple_lock(relation, tid, snapshot, slot, command, mode, policy, flags,
                                 failure);
  }
  check_isolation_level();
  note_touched(RelationGetRelid(relation));
  failure->traversed = false;
  Located located;
  locate(relation, tid, command, failure, &located);
  if (located.where == Where::kRefused) {
    // ON CONFLICT DO UPDATE looks at the row to tell "a second time".
    if (located.result == TM_Invisible && WriteSet::is_transient(row_id(tid))) {
      store_version(backend->write_set.version_at(row_id(tid)), slot);
    }
    return located.result;
  }
  if (located.where == Where::kOwn) {
    // It may stand for a row that others see, under the same identity.
    if (!made_by_us(relation)) {
      const WriteSet::RowIdentity identity =
          row_identity(relation, &located.tuple, row_id(&located.tid));
      if (identity.is_key)
        mark_own({identity.hash, lock_class_of(mode), RelationGetRelid(relation)});
    }
    release(&located);
    return heap_am()->tuple_lock(relation, &located.tid, snapshot, slot, command, mode, policy,
                                 flags, failure);
  }
  mark(located.entry, lock_class_of(mode));
  fill_slot(relation, &located, slot);
  release(&located);
  return TM_Ok;
}

}  // namespace

void set_lock_members(TableAmRoutine* routine) { routine->tuple_lock = lock; }

}  // namespace zorya::query_processor
