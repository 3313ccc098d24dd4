#include "query_processor/located_row.h"

#include "query_processor/backend.h"
#include "query_processor/commit_stats.h"
#include "query_processor/errors.h"
#include "query_processor/identity.h"
#include "query_processor/pg/boundary.h"
#include "query_processor/pg/version.h"
#include "query_processor/table_am.h"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "utils/snapmgr.h"
}

namespace zorya::query_processor {
namespace {

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

}  // namespace

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

}  // namespace zorya::query_processor
