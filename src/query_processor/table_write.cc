#include "query_processor/backend.h"
#include "query_processor/forced_outcomes.h"
#include "query_processor/gate/row_size.h"
#include "query_processor/identity.h"
#include "query_processor/limits.h"
#include "query_processor/located_row.h"
#include "query_processor/pg/boundary.h"
#include "query_processor/pg/version.h"
#include "query_processor/table_am.h"

extern "C" {
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

// Writing: rows that only we can see are heap's at once; rows that others can see get pending
// versions.
namespace zorya::query_processor {
namespace {

using adjudicator::LockClass;

// ------------------------------------------------------------------ insert

void prepare_insert(Relation relation, int count) {
  check_isolation_level();
  note_touched(RelationGetRelid(relation));
  if (!made_by_us(relation)) check_room_for_rows(count);
}

void note_inserted(Relation relation, TupleTableSlot* slot) {
  if (!made_by_us(relation)) backend->write_set.count_rows(1);
  gate::note_written_row(relation, &slot->tts_tid);
  collect_keys(backend->write_set, relation, slot, nullptr);
}

void insert(Relation relation, TupleTableSlot* slot, CommandId command, int options,
            BulkInsertState bulk) {
  if (nobody_else_can_see(relation))
    return heap_am()->tuple_insert(relation, slot, command, options, bulk);
  prepare_insert(relation, 1);
  gate::hold_row_size(relation, slot);
  heap_am()->tuple_insert(relation, slot, command, options, bulk);
  note_inserted(relation, slot);
}

void insert_speculative(Relation relation, TupleTableSlot* slot, CommandId command, int options,
                        BulkInsertState bulk, uint32 token) {
  if (nobody_else_can_see(relation)) {
    return heap_am()->tuple_insert_speculative(relation, slot, command, options, bulk, token);
  }
  prepare_insert(relation, 1);
  gate::hold_row_size(relation, slot);
  heap_am()->tuple_insert_speculative(relation, slot, command, options, bulk, token);
  note_inserted(relation, slot);
}

void complete_speculative(Relation relation, TupleTableSlot* slot, uint32 token, bool succeeded) {
  heap_am()->tuple_complete_speculative(relation, slot, token, succeeded);
  // The keys of a row that was taken back stay: they can only cost a needless conflict.
  if (!succeeded && !nobody_else_can_see(relation) && !made_by_us(relation))
    backend->write_set.count_rows(-1);
}

void multi_insert(Relation relation, TupleTableSlot** slots, int count, CommandId command,
                  int options, BulkInsertState bulk) {
  if (nobody_else_can_see(relation))
    return heap_am()->multi_insert(relation, slots, count, command, options, bulk);
  prepare_insert(relation, count);
  for (int i = 0; i < count; ++i) gate::hold_row_size(relation, slots[i]);
  heap_am()->multi_insert(relation, slots, count, command, options, bulk);
  for (int i = 0; i < count; ++i) note_inserted(relation, slots[i]);
}

// ------------------------------------------------------------------ update

/// True if a column of `columns` (of an index attribute bitmap) differs bytewise between two
/// versions.
bool any_differs(Relation relation, Bitmapset* columns, HeapTuple before, HeapTuple after) {
  TupleDesc descriptor = RelationGetDescr(relation);
  int member = -1;
  while ((member = bms_next_member(columns, member)) >= 0) {
    const auto attribute = static_cast<AttrNumber>(member + FirstLowInvalidHeapAttributeNumber);
    if (attribute == TableOidAttributeNumber) continue;
    if (attribute <= 0) return true;
    bool null_before = false;
    bool null_after = false;
    const Datum value_before = heap_getattr(before, attribute, descriptor, &null_before);
    const Datum value_after = heap_getattr(after, attribute, descriptor, &null_after);
    if (null_before != null_after) return true;
    if (null_before) continue;
    const Form_pg_attribute form = TupleDescAttr(descriptor, attribute - 1);
    if (!datumIsEqual(value_before, value_after, form->attbyval, form->attlen)) return true;
  }
  return false;
}

bool columns_differ(Relation relation, Bitmapset* columns, HeapTuple before, HeapTuple after) {
  const bool differs = any_differs(relation, columns, before, after);
  bms_free(columns);
  return differs;
}

Version* push_version(Entry* entry, const WriteSet::Change& change) {
  if (entry->newest == nullptr) check_room_for_rows(1);
  return pg::enter(
      [&]() -> pg::Result<Version*> { return &backend->write_set.push(*entry, change); });
}

void add_key(Relation relation, const adjudicator::KeyHash& key, LockClass lock_class) {
  pg::enter([&]() -> pg::Result<void> {
    backend->write_set.add_key({key, lock_class, RelationGetRelid(relation)});
    return {};
  });
}

/// A row that only we see may be the new place of one that others see (a key or another indexed
/// column was changed). Its removal then is one of that row's key, which the entry of the old place
/// does not say. The keys are the same as long as the identity is.
void note_own_row_removed(Relation relation, Located* located) {
  if (made_by_us(relation)) return;
  refuse_newer_references(relation);
  const WriteSet::RowIdentity identity =
      row_identity(relation, &located->tuple, row_id(&located->tid));
  if (identity.is_key) add_key(relation, identity.hash, LockClass::kUpdate);
}

/// Heap's own update, at once. It cannot wait, for nobody else sees the row; it is told that it may
/// because our own lock on the row would make it say "being modified" otherwise.
TM_Result update_own(Relation relation, Located* located, TupleTableSlot* slot, CommandId command,
                     Snapshot snapshot, TM_FailureData* failure, LockTupleMode* mode,
                     bool* new_index_entries) {
  const TM_Result result =
      heap_am()->tuple_update(relation, &located->tid, slot, command, snapshot, InvalidSnapshot,
                              true, failure, mode, new_index_entries);
  if (result == TM_Ok) {
    gate::note_written_row(relation, &slot->tts_tid);
    TupleTableSlot* before = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsHeapTuple);
    ExecStoreHeapTuple(&located->tuple, before, false);
    collect_keys(backend->write_set, relation, slot, before);
    ExecDropSingleTupleTableSlot(before);
    if (*mode == LockTupleExclusive) note_own_row_removed(relation, located);
  }
  release(located);
  return result;
}

/// The tuple of a pending version has the header of one that we made: ON CONFLICT, triggers and
/// RETURNING look at it.
void set_header(Relation relation, HeapTuple tuple, CommandId command) {
  HeapTupleHeader header = tuple->t_data;
  tuple->t_tableOid = RelationGetRelid(relation);
  header->t_infomask = static_cast<std::uint16_t>(header->t_infomask & ~HEAP_XACT_MASK);
  header->t_infomask =
      static_cast<std::uint16_t>(header->t_infomask | HEAP_XMAX_INVALID | HEAP_UPDATED);
  header->t_infomask2 = static_cast<std::uint16_t>(header->t_infomask2 & ~HEAP2_XACT_MASK);
  HeapTupleHeaderSetXmin(header, GetCurrentTransactionId());
  HeapTupleHeaderSetCmin(header, command);
  HeapTupleHeaderSetXmax(header, InvalidTransactionId);
}

/// No indexed column changed: the new version waits in the write set, and the indexes lead to it
/// through the old one.
void hold_update(Relation relation, Located* located, HeapTuple tuple, TupleTableSlot* slot,
                 CommandId command) {
  set_header(relation, tuple, command);
  MemoryContext outer = MemoryContextSwitchTo(write_set_memory());
  HeapTuple copy = heap_copytuple(tuple);
  MemoryContextSwitchTo(outer);
  Version* version = push_version(
      located->entry,
      {.command = command, .subtransaction = GetCurrentSubTransactionId(), .tuple = copy});
  const ItemPointerData tid = item_pointer(version->transient);
  copy->t_self = tid;
  copy->t_data->t_ctid = tid;
  tuple->t_self = tid;
  slot->tts_tid = tid;
}

/// heap_insert honours the fill factor and the table's target page, as an update would not; stay on
/// the old version's page if it has room.
void insert_near(Relation relation, Located* located, HeapTuple tuple, TupleTableSlot* slot,
                 CommandId command) {
  const BlockNumber target = RelationGetTargetBlock(relation);
  const bool near = BufferIsValid(located->buffer) &&
                    PageGetHeapFreeSpace(BufferGetPage(located->buffer)) >
                        MAXALIGN(tuple->t_len) + static_cast<Size>(RelationGetTargetPageFreeSpace(
                                                     relation, HEAP_DEFAULT_FILLFACTOR));
  if (near) RelationSetTargetBlock(relation, located->entry->base.block);
  heap_am()->tuple_insert(relation, slot, command, 0, nullptr);
  if (near) RelationSetTargetBlock(relation, target);
}

/// An indexed column changed: the old row is hidden and a new one, which the executor then enters
/// into the indexes, is made at once. Unique checks work because the old one is hidden.
void move_row(Relation relation, Located* located, HeapTuple tuple, TupleTableSlot* slot,
              CommandId command, bool key_changed) {
  if (key_changed) refuse_newer_references(relation);
  Version* hidden = push_version(located->entry, {.command = command,
                                                  .subtransaction = GetCurrentSubTransactionId(),
                                                  .tuple = nullptr,
                                                  .key_changed = key_changed});
  insert_near(relation, located, tuple, slot, command);
  hidden->moved_to = row_id(&slot->tts_tid);
  gate::note_written_row(relation, &slot->tts_tid);
  TupleTableSlot* before = MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsHeapTuple);
  ExecStoreHeapTuple(&located->tuple, before, false);
  collect_keys(backend->write_set, relation, slot, before);
  ExecDropSingleTupleTableSlot(before);
}

TM_Result update(Relation relation, ItemPointer tid, TupleTableSlot* slot, CommandId command,
                 Snapshot snapshot, Snapshot crosscheck, bool wait, TM_FailureData* failure,
                 LockTupleMode* mode, bool* new_index_entries) {
  if (nobody_else_can_see(relation)) {
    return heap_am()->tuple_update(relation, tid, slot, command, snapshot, crosscheck, wait,
                                   failure, mode, new_index_entries);
  }
  check_isolation_level();
  note_touched(RelationGetRelid(relation));
  gate::hold_row_size(relation, slot);
  *new_index_entries = false;
  *mode = LockTupleNoKeyExclusive;
  Located located;
  locate(relation, tid, command, failure, &located);
  if (located.where == Where::kRefused) return located.result;
  if (located.where == Where::kOwn) {
    return update_own(relation, &located, slot, command, snapshot, failure, mode,
                      new_index_entries);
  }
  bool should_free = false;
  HeapTuple tuple = ExecFetchSlotHeapTuple(slot, true, &should_free);
  slot->tts_tableOid = RelationGetRelid(relation);
  const bool moved = columns_differ(relation, pg::indexed_columns(relation), &located.tuple, tuple);
  if (moved) {
    const bool key_changed =
        columns_differ(relation, RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_KEY),
                       &located.tuple, tuple);
    if (key_changed) *mode = LockTupleExclusive;
    move_row(relation, &located, tuple, slot, command, key_changed);
    *new_index_entries = true;
  } else {
    hold_update(relation, &located, tuple, slot, command);
  }
  if (should_free) pfree(tuple);
  release(&located);
  return TM_Ok;
}

// ------------------------------------------------------------------ delete

TM_Result remove(Relation relation, ItemPointer tid, CommandId command, Snapshot snapshot,
                 Snapshot crosscheck, bool wait, TM_FailureData* failure, bool changing_partition) {
  if (nobody_else_can_see(relation)) {
    return heap_am()->tuple_delete(relation, tid, command, snapshot, crosscheck, wait, failure,
                                   changing_partition);
  }
  check_isolation_level();
  note_touched(RelationGetRelid(relation));
  Located located;
  locate(relation, tid, command, failure, &located);
  if (located.where == Where::kRefused) return located.result;
  if (located.where == Where::kOwn) {
    const TM_Result result =
        heap_am()->tuple_delete(relation, &located.tid, command, snapshot, InvalidSnapshot, true,
                                failure, changing_partition);
    if (result == TM_Ok) note_own_row_removed(relation, &located);
    release(&located);
    return result;
  }
  refuse_newer_references(relation);
  push_version(located.entry, {.command = command,
                               .subtransaction = GetCurrentSubTransactionId(),
                               .tuple = nullptr,
                               .key_changed = true,
                               .left_partition = changing_partition});
  release(&located);
  return TM_Ok;
}

}  // namespace

void set_write_members(TableAmRoutine* routine) {
  routine->tuple_insert = insert;
  routine->tuple_insert_speculative = insert_speculative;
  routine->tuple_complete_speculative = complete_speculative;
  routine->multi_insert = multi_insert;
  routine->tuple_update = update;
  routine->tuple_delete = remove;
}

}  // namespace zorya::query_processor
