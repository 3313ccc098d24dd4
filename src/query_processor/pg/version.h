#pragma once

#include "query_processor/pg/server.h"

extern "C" {
#include "access/heapam.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

/// The calls whose form differs between PostgreSQL's major versions, and nothing else. Written for
/// 15; what changes later is said at each.
namespace zorya::query_processor::pg {

static_assert(PG_VERSION_NUM / 10000 == 15,
              "this file says which calls another major version needs otherwise");

/// The version of the row at tuple->t_self that this transaction wrote and did not change since,
/// pinned in *buffer. False if it is gone.
inline bool fetch_own(Relation relation, HeapTuple tuple, Buffer* buffer) {
  return heap_fetch(relation, SnapshotSelf, tuple, buffer, false);
}

/// Never waits. 16: heap_update takes TU_UpdateIndexes*.
inline TM_Result update_row(Relation relation, ItemPointer tid, HeapTuple tuple, CommandId command,
                            TM_FailureData* failure) {
  LockTupleMode mode = LockTupleNoKeyExclusive;
  return heap_update(relation, tid, tuple, command, InvalidSnapshot, false, failure, &mode);
}

/// Never waits.
inline TM_Result delete_row(Relation relation, ItemPointer tid, CommandId command,
                            bool changing_partition, TM_FailureData* failure) {
  return heap_delete(relation, tid, command, InvalidSnapshot, false, failure, changing_partition);
}

/// 16: one argument more (onlySummarizing).
inline List* insert_index_entries(ResultRelInfo* result, TupleTableSlot* slot, EState* state) {
  return ExecInsertIndexTuples(result, slot, state, true, false, nullptr, NIL);
}

/// The columns whose change makes a new index entry needed. 16: HOT_BLOCKING and SUMMARIZED
/// instead.
inline Bitmapset* indexed_columns(Relation relation) {
  return RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_ALL);
}

/// Makes a bitmap scan fetch every row, also of pages that are all visible. 17: a flag of the scan;
/// 18: gone.
inline void forbid_skipped_fetches(BitmapHeapScanState* node) { node->can_skip_fetch = false; }
/// As PostgreSQL decides it itself. The newest minor releases never skip, so that leaving it to
/// them is no fault any more; older ones do.
inline void allow_skipped_fetches(BitmapHeapScanState* node) {
  const Plan* plan = node->ss.ps.plan;
  node->can_skip_fetch = plan->qual == NIL && plan->targetlist == NIL;
}

/// 16: the walker has a real prototype.
template <typename Walker>
inline bool walk_plan_state(PlanState* state, Walker walker, void* context) {
  return planstate_tree_walker(state, reinterpret_cast<bool (*)()>(reinterpret_cast<void*>(walker)),
                               context);
}

}  // namespace zorya::query_processor::pg
