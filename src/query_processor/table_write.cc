#include "query_processor/backend.h"
#include "query_processor/commit_stats.h"
#include "query_processor/errors.h"
#include "query_processor/forced_outcomes.h"
#include "query_processor/gate/row_size.h"
#include "query_processor/identity.h"
#include "query_processor/limits.h"
#include "query_processor/pg/boundary.h"
#include "query_processor/pg/version.h"
#include "query_processor/plant.h"
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

/// Nobody else will ever see the rows of a temporary table, nor the table that this transaction
/// made before it commits.
bool nobody_else_can_see(Relation relation) { return RelationUsesLocalBuffers(relation); }
bool made_by_us(Relation relation) { return relation->rd_createSubid != InvalidSubTransactionId; }

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

// ------------------------------------------------------------------ what a tid means for a writer

enum class Where {
  kOwn,      // a row that only we can see: heap changes it at once
  kOthers,   // a row that others can see, or a pending version of it
  kRefused,  // heap's own answer for a row that this command or an earlier one changed already
};

/// Plain data: it may be jumped over. `buffer` is pinned if valid, and holds `tuple`.
struct Located {
  Where where = Where::kRefused;
  TM_Result result = TM_Ok;
  ItemPointerData tid{};  // in the heap; of a row that was applied already its new place
  HeapTupleData tuple{};
  Buffer buffer = InvalidBuffer;
  Entry* entry = nullptr;
  Version* version = nullptr;  // null: the heap's own version
};

void release(Located* located) {
  if (BufferIsValid(located->buffer)) ReleaseBuffer(located->buffer);
  located->buffer = InvalidBuffer;
}

void refuse(Located* located, TM_FailureData* failure, TM_Result result, ItemPointer tid,
            CommandId changed_by) {
  failure->ctid = *tid;
  // MERGE looks whether it was ourselves.
  failure->xmax = GetCurrentTransactionId();
  failure->cmax = changed_by;
  failure->traversed = false;
  located->where = Where::kRefused;
  located->result = result;
}

/// Heap's answer for a row that we changed: by this very command, or by one before it.
TM_Result changed_by_us(CommandId changed_by, CommandId command) {
  return changed_by >= command ? TM_SelfModified : TM_Invisible;
}

void locate_transient(ItemPointer tid, CommandId command, TM_FailureData* failure,
                      Located* located) {
  Version* version = backend->write_set.version_at(row_id(tid));
  if (version == nullptr || version->tuple == nullptr)
    elog(ERROR, "no pending version at transient tid");
  Entry* entry = version->entry;
  if (version->command >= command)
    return refuse(located, failure, TM_Invisible, tid, version->command);
  if (entry->newest != version) {
    const Version* next = entry->newest;
    if (next == nullptr) elog(ERROR, "the pending version was rolled back");
    while (next->older != nullptr && next->older != version) next = next->older;
    return refuse(located, failure, changed_by_us(next->command, command), tid, next->command);
  }
  located->where = Where::kOthers;
  located->entry = entry;
  located->version = version;
  located->tuple = *static_cast<HeapTuple>(version->tuple);
}

/// Pins a page: mostly that of the row before, and then PostgreSQL need not look up where it is.
Buffer pin_page(Relation relation, BlockNumber block) {
  static Buffer recent = InvalidBuffer;
  if (recent == InvalidBuffer ||
      !ReadRecentBuffer(relation->rd_node, MAIN_FORKNUM, block, recent)) {
    recent = ReadBuffer(relation, block);
  }
  return recent;
}

/// Whoever sees the version.
void fetch_heap_row(Relation relation, Located* located) {
  const BlockNumber block = ItemPointerGetBlockNumberNoCheck(&located->tid);
  const OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(&located->tid);
  located->buffer = pin_page(relation, block);
  Page page = BufferGetPage(located->buffer);
  LockBuffer(located->buffer, BUFFER_LOCK_SHARE);
  const bool is_there = offset >= FirstOffsetNumber && offset <= PageGetMaxOffsetNumber(page);
  ItemId line = is_there ? PageGetItemId(page, offset) : nullptr;
  if (line == nullptr || !ItemIdIsNormal(line)) elog(ERROR, "no row at tid (%u,%u)", block, offset);
  located->tuple.t_self = located->tid;
  located->tuple.t_tableOid = RelationGetRelid(relation);
  located->tuple.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, line));
  located->tuple.t_len = ItemIdGetLength(line);
  LockBuffer(located->buffer, BUFFER_LOCK_UNLOCK);
}

bool is_own(HeapTupleHeader header) {
  if (!HeapTupleHeaderXminCommitted(header) &&
      TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(header))) {
    return true;
  }
  // Written at COMMIT or before DDL: what we changed in the heap is ours too.
  return (header->t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) == 0 &&
         TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmax(header));
}

void refuse_unseen(Relation relation, HeapTupleHeader header) {
  const TransactionId maker = HeapTupleHeaderGetXmin(header);
  if (TransactionIdIsNormal(maker) && !HeapTupleHeaderXminFrozen(header) &&
      XidInMVCCSnapshot(maker, GetTransactionSnapshot())) {
    count_conflict(RelationGetRelid(relation), ConflictKind::kSeen);
    raise_conflict();
  }
}

Entry* add_entry(Relation relation, Located* located) {
  const RowId place = row_id(&located->tid);
  const WriteSet::RowIdentity identity = row_identity(relation, &located->tuple, place);
  Entry* entry = pg::enter([&]() -> pg::Result<Entry*> {
    return &backend->write_set.add_entry(RelationGetRelid(relation), storage_of(relation), place,
                                         identity);
  });
  scan_through_write_set(true);
  return entry;
}

/// Finds what `tid` means for a writer at `command`.
void locate(Relation relation, ItemPointer tid, CommandId command, TM_FailureData* failure,
            Located* located) {
  located->tid = *tid;
  if (WriteSet::is_transient(row_id(tid))) {
    locate_transient(tid, command, failure, located);
    if (located->where == Where::kRefused || located->entry->applied_in == 0) return;
    located->tid = item_pointer(located->entry->applied_row);
    located->version = nullptr;
  }
  Entry* known = backend->write_set.find_any(storage_of(relation), row_id(&located->tid));
  if (known != nullptr && WriteSet::is_pending(*known)) {
    const Version* first = WriteSet::oldest(*known);
    return refuse(located, failure, changed_by_us(first->command, command), tid, first->command);
  }
  fetch_heap_row(relation, located);
  if (is_own(located->tuple.t_data)) {
    located->where = Where::kOwn;
    return;
  }
  refuse_unseen(relation, located->tuple.t_data);
  located->where = Where::kOthers;
  located->entry = known != nullptr ? known : add_entry(relation, located);
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

// ------------------------------------------------------------------ marks

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

void set_write_members(TableAmRoutine* routine) {
  routine->tuple_insert = insert;
  routine->tuple_insert_speculative = insert_speculative;
  routine->tuple_complete_speculative = complete_speculative;
  routine->multi_insert = multi_insert;
  routine->tuple_update = update;
  routine->tuple_delete = remove;
  routine->tuple_lock = lock;
}

}  // namespace zorya::query_processor
