#include "query_processor/backend.h"
#include "query_processor/table_am.h"

extern "C" {
#include "access/relscan.h"
#include "access/xact.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

// Reading: heap's answer first, then what the write set makes of it.
namespace zorya::query_processor {

void store_version(Version* version, TupleTableSlot* slot) {
  auto* buffer_slot = reinterpret_cast<BufferHeapTupleTableSlot*>(slot);
  ExecClearTuple(slot);
  slot->tts_flags = static_cast<std::uint16_t>(slot->tts_flags & ~TTS_FLAG_EMPTY);
  slot->tts_nvalid = 0;
  buffer_slot->base.tuple = static_cast<HeapTuple>(version->tuple);
  buffer_slot->base.off = 0;
  buffer_slot->buffer = InvalidBuffer;
  slot->tts_tid = item_pointer(version->transient);
  slot->tts_tableOid = version->entry->relation;
}

namespace {

bool rows_are_pending() { return !backend->write_set.empty() && !backend->applying; }

/// The command as of which a snapshot reads; snapshots that are not MVCC read what was done so far.
CommandId command_of(Snapshot snapshot) {
  return IsMVCCSnapshot(snapshot) ? snapshot->curcid : InvalidCommandId;
}

/// Heap gave us a row that `snapshot` sees. False: it is hidden by the write set. It may be
/// replaced in the slot.
bool pass_through_write_set(Relation relation, Snapshot snapshot, TupleTableSlot* slot) {
  switch (snapshot->snapshot_type) {
    case SNAPSHOT_ANY:
    case SNAPSHOT_NON_VACUUMABLE:
    case SNAPSHOT_TOAST:
      return true;
    default:
      break;
  }
  const CommandId command = command_of(snapshot);
  Entry* entry =
      backend->write_set.find_changed(storage_of(relation), row_id(&slot->tts_tid), command);
  if (entry == nullptr) return true;
  Version* version = WriteSet::visible(*entry, command);
  if (version == nullptr) return true;
  if (version->tuple == nullptr) return false;
  store_version(version, slot);
  return true;
}

bool get_next_slot(TableScanDesc scan, ScanDirection direction, TupleTableSlot* slot) {
  while (heap_am()->scan_getnextslot(scan, direction, slot)) {
    if (!rows_are_pending() || pass_through_write_set(scan->rs_rd, scan->rs_snapshot, slot))
      return true;
  }
  ExecClearTuple(slot);
  return false;
}

bool get_next_slot_in_tid_range(TableScanDesc scan, ScanDirection direction, TupleTableSlot* slot) {
  while (heap_am()->scan_getnextslot_tidrange(scan, direction, slot)) {
    if (!rows_are_pending() || pass_through_write_set(scan->rs_rd, scan->rs_snapshot, slot))
      return true;
  }
  ExecClearTuple(slot);
  return false;
}

bool bitmap_next_tuple(TableScanDesc scan, TBMIterateResult* page, TupleTableSlot* slot) {
  while (heap_am()->scan_bitmap_next_tuple(scan, page, slot)) {
    if (!rows_are_pending() || pass_through_write_set(scan->rs_rd, scan->rs_snapshot, slot))
      return true;
  }
  return false;
}

bool sample_next_tuple(TableScanDesc scan, SampleScanState* state, TupleTableSlot* slot) {
  while (heap_am()->scan_sample_next_tuple(scan, state, slot)) {
    if (!rows_are_pending() || pass_through_write_set(scan->rs_rd, scan->rs_snapshot, slot))
      return true;
  }
  return false;
}

/// A unique check asks with SnapshotDirty, and would wait for whoever has the key. It gets the
/// transaction's own snapshot with all that we did so far: a key that we see is a duplicate,
/// whatever happened to it since; one that others are making or have made since is not there, and
/// is the adjudicator's business at COMMIT. This runs under an nbtree page lock, so it looks at no
/// catalogue. An index build asks too, and must wait as PostgreSQL has it: a row that an open
/// transaction put into the index before the build knows no adjudication.
bool judge_by_transaction_snapshot(Snapshot asked, SnapshotData* judged) {
  if (asked->snapshot_type != SNAPSHOT_DIRTY || backend->building > 0 ||
      !IsolationUsesXactSnapshot())
    return false;
  asked->xmin = InvalidTransactionId;
  asked->xmax = InvalidTransactionId;
  asked->speculativeToken = 0;
  *judged = *GetTransactionSnapshot();
  judged->curcid = InvalidCommandId;
  return true;
}

bool index_fetch_tuple(IndexFetchTableData* scan, ItemPointer tid, Snapshot snapshot,
                       TupleTableSlot* slot, bool* call_again, bool* all_dead) {
  if (likely(backend->write_set.empty() && snapshot->snapshot_type == SNAPSHOT_MVCC)) {
    return heap_am()->index_fetch_tuple(scan, tid, snapshot, slot, call_again, all_dead);
  }
  SnapshotData judged;
  if (judge_by_transaction_snapshot(snapshot, &judged)) snapshot = &judged;
  for (;;) {
    if (!heap_am()->index_fetch_tuple(scan, tid, snapshot, slot, call_again, all_dead))
      return false;
    if (!rows_are_pending() || pass_through_write_set(scan->rel, snapshot, slot)) return true;
    if (!*call_again) {
      ExecClearTuple(slot);
      return false;
    }
  }
}

Version* version_or_error(ItemPointer tid) {
  Version* version = backend->write_set.version_at(row_id(tid));
  if (version == nullptr) elog(ERROR, "no pending version at transient tid");
  return version;
}

bool fetch_row_version(Relation relation, ItemPointer tid, Snapshot snapshot,
                       TupleTableSlot* slot) {
  const bool any = snapshot->snapshot_type == SNAPSHOT_ANY;
  if (WriteSet::is_transient(row_id(tid))) {
    Version* version = version_or_error(tid);
    if (version->tuple == nullptr) return false;
    const Entry& entry = *version->entry;
    if (!any) {
      const CommandId command = command_of(snapshot);
      const bool replaced = entry.applied_in != 0 && entry.applied_by < command;
      if (replaced || WriteSet::visible(entry, command) != version) return false;
    }
    store_version(version, slot);
    return true;
  }
  if (!heap_am()->tuple_fetch_row_version(relation, tid, snapshot, slot)) return false;
  if (any || !rows_are_pending()) return true;
  const CommandId command = command_of(snapshot);
  const Entry* entry = backend->write_set.find_changed(storage_of(relation), row_id(tid), command);
  if (entry == nullptr || WriteSet::visible(*entry, command) == nullptr) return true;
  ExecClearTuple(slot);
  return false;
}

/// True if the row at `place`, which this transaction wrote, is what the snapshot sees.
bool sees_row_at(Relation relation, RowId place, Snapshot snapshot) {
  ItemPointerData tid = item_pointer(place);
  TupleTableSlot* slot =
      MakeSingleTupleTableSlot(RelationGetDescr(relation), &TTSOpsBufferHeapTuple);
  const bool seen = heap_am()->tuple_fetch_row_version(relation, &tid, snapshot, slot);
  ExecDropSingleTupleTableSlot(slot);
  return seen;
}

bool satisfies_snapshot(Relation relation, TupleTableSlot* slot, Snapshot snapshot) {
  if (WriteSet::is_transient(row_id(&slot->tts_tid))) {
    const Version* version = version_or_error(&slot->tts_tid);
    const Entry& entry = *version->entry;
    if (entry.applied_in == 0) return WriteSet::visible(entry, command_of(snapshot)) == version;
    return entry.newest == version && sees_row_at(relation, entry.applied_row, snapshot);
  }
  if (!heap_am()->tuple_satisfies_snapshot(relation, slot, snapshot)) return false;
  const CommandId command = command_of(snapshot);
  const Entry* entry =
      backend->write_set.find_changed(storage_of(relation), row_id(&slot->tts_tid), command);
  return entry == nullptr || WriteSet::visible(*entry, command) == nullptr;
}

bool tid_valid(TableScanDesc scan, ItemPointer tid) {
  if (!WriteSet::is_transient(row_id(tid))) return heap_am()->tuple_tid_valid(scan, tid);
  const Version* version = backend->write_set.version_at(row_id(tid));
  return version != nullptr && version->entry->relation == RelationGetRelid(scan->rs_rd);
}

/// For WHERE CURRENT OF and tid scans: the version of the same row that the scan sees. It may be
/// pending, or lie where the row was moved to or was written before a schema change; from there
/// heap's own chain goes on.
void get_latest_tid(TableScanDesc scan, ItemPointer tid) {
  const Entry* entry = nullptr;
  if (WriteSet::is_transient(row_id(tid))) {
    entry = version_or_error(tid)->entry;
  } else {
    heap_am()->tuple_get_latest_tid(scan, tid);
    entry = backend->write_set.find_any(storage_of(scan->rs_rd), row_id(tid));
  }
  if (entry == nullptr) return;
  const bool applied = entry->applied_in != 0;
  const Version* version =
      applied ? entry->newest : WriteSet::visible(*entry, command_of(scan->rs_snapshot));
  if (version == nullptr) {
    *tid = item_pointer(entry->base);
  } else if (version->tuple == nullptr && version->moved_to != RowId{}) {
    *tid = item_pointer(version->moved_to);
    heap_am()->tuple_get_latest_tid(scan, tid);
  } else if (applied) {
    *tid = item_pointer(entry->applied_row);
    heap_am()->tuple_get_latest_tid(scan, tid);
  } else {
    *tid = item_pointer(version->transient);
  }
}

}  // namespace

void set_read_members(TableAmRoutine* routine) {
  routine->scan_getnextslot = get_next_slot;
  routine->scan_getnextslot_tidrange = get_next_slot_in_tid_range;
  routine->scan_bitmap_next_tuple = bitmap_next_tuple;
  routine->scan_sample_next_tuple = sample_next_tuple;
  routine->index_fetch_tuple = index_fetch_tuple;
  routine->tuple_fetch_row_version = fetch_row_version;
  routine->tuple_satisfies_snapshot = satisfies_snapshot;
  routine->tuple_tid_valid = tid_valid;
  routine->tuple_get_latest_tid = get_latest_tid;
}

}  // namespace zorya::query_processor
