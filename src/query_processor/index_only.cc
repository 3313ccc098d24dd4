#include "query_processor/index_only.h"

#include "query_processor/backend.h"
#include "query_processor/pg/version.h"
#include "query_processor/plant.h"
#include "query_processor/table_am.h"

extern "C" {
#include "access/amapi.h"
#include "access/relscan.h"
#include "catalog/pg_am_d.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
}

namespace zorya::query_processor {
namespace {

// PostgreSQL's own function for each kind of index that can do index-only scans.
amgettuple_function btree_next = nullptr;
amgettuple_function gist_next = nullptr;
amgettuple_function spgist_next = nullptr;

amgettuple_function* next_of(Oid index_am) {
  switch (index_am) {
    case GIST_AM_OID:
      return &gist_next;
    case SPGIST_AM_OID:
      return &spgist_next;
    default:
      return &btree_next;
  }
}

/// True if the row at the index entry's place is hidden from the scan. A pending version that is
/// not hidden needs nothing: no column of an index changed.
bool is_hidden(IndexScanDesc scan) {
  Relation table = scan->heapRelation;
  // A copy: the search moves it along the chain. A HOT chain never leaves its block.
  ItemPointerData tid = scan->xs_heaptid;
  const BlockNumber block = ItemPointerGetBlockNumber(&tid);
  if (!backend->write_set.may_hold(storage_of(table), block)) return false;
  HeapTupleData tuple;
  Buffer buffer = ReadBuffer(table, block);
  LockBuffer(buffer, BUFFER_LOCK_SHARE);
  const bool found =
      heap_hot_search_buffer(&tid, table, buffer, scan->xs_snapshot, &tuple, nullptr, true);
  UnlockReleaseBuffer(buffer);
  if (!found) return true;
  const CommandId command = scan->xs_snapshot->curcid;
  const Entry* entry = backend->write_set.find_changed(storage_of(table), row_id(&tid), command);
  if (entry == nullptr) return false;
  const Version* version = WriteSet::visible(*entry, command);
  return version != nullptr && version->tuple == nullptr;
}

bool may_hide(IndexScanDesc scan) {
  return scan->xs_want_itup && scan->heapRelation != nullptr && !backend->applying &&
         IsMVCCSnapshot(scan->xs_snapshot) &&
         backend->write_set.hidden_count(RelationGetRelid(scan->heapRelation)) > 0;
}

bool next_not_hidden(IndexScanDesc scan, ScanDirection direction) {
  const amgettuple_function next = *next_of(scan->indexRelation->rd_rel->relam);
  while (next(scan, direction)) {
    if (!may_hide(scan) || !is_hidden(scan)) return true;
    scan->kill_prior_tuple = false;
  }
  return false;
}

void watch(IndexOnlyScanState* node) {
  if (node->ioss_RelationDesc == nullptr || !is_our_table(node->ss.ss_currentRelation)) return;
  // Every relation cache entry has its own copy of the routine.
  IndexAmRoutine* routine = node->ioss_RelationDesc->rd_indam;
  if (routine->amgettuple == next_not_hidden) return;
  *next_of(node->ioss_RelationDesc->rd_rel->relam) = routine->amgettuple;
  routine->amgettuple = next_not_hidden;
}

bool watch_plan(PlanState* state, void* context) {
  if (state == nullptr) return false;
  if (IsA(state, IndexOnlyScanState)) {
    if (!planted("skip_index_only_scan")) watch(reinterpret_cast<IndexOnlyScanState*>(state));
  } else if (IsA(state, BitmapHeapScanState)) {
    auto* node = reinterpret_cast<BitmapHeapScanState*>(state);
    if (node->ss.ss_currentRelation != nullptr && is_our_table(node->ss.ss_currentRelation)) {
      pg::forbid_skipped_fetches(node);
      if (planted("leave_skip_fetch")) pg::allow_skipped_fetches(node);
    }
  }
  return pg::walk_plan_state(state, watch_plan, context);
}

}  // namespace

void hide_rows_from_index_only_scans(QueryDesc* query) {
  watch_plan(query->planstate, nullptr);
  ListCell* cell = nullptr;
  foreach (cell, query->estate->es_subplanstates)
    watch_plan(static_cast<PlanState*>(lfirst(cell)), nullptr);
}

}  // namespace zorya::query_processor
