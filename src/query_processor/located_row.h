#pragma once

#include "query_processor/pg/server.h"
#include "query_processor/write_set.h"

extern "C" {
#include "access/htup.h"
#include "access/tableam.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
}

/// What a tid means for who writes or locks its row: a row that only we can see, one that others
/// can see, a pending version of one, or one that we changed already. Plain frames (pg/boundary.h).
namespace zorya::query_processor {

/// Nobody else will ever see the rows of a temporary table, nor the table that this transaction
/// made before it commits.
inline bool nobody_else_can_see(Relation relation) { return RelationUsesLocalBuffers(relation); }
inline bool made_by_us(Relation relation) {
  return relation->rd_createSubid != InvalidSubTransactionId;
}

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

inline void release(Located* located) {
  if (BufferIsValid(located->buffer)) ReleaseBuffer(located->buffer);
  located->buffer = InvalidBuffer;
}

/// Finds what `tid` means for a writer at `command`. A row that others can see gets its entry in
/// the write set. Raises 40001 for one that our snapshot does not see; kRefused fills `failure`.
void locate(Relation relation, ItemPointer tid, CommandId command, TM_FailureData* failure,
            Located* located);

}  // namespace zorya::query_processor
