#include "query_processor/jobs/duplicates.h"

extern "C" {
#include "access/genam.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace zorya::query_processor::jobs {
namespace {

/// The entry before, which the scan itself has let go.
struct Previous {
  IndexTuple entry;
  ItemPointerData row;
  bool looked_at;  // whether a row of the run of equal keys up to it is known to be seen
  bool seen;
};

bool same_key(Relation index, IndexTuple left, IndexTuple right) {
  TupleDesc descriptor = RelationGetDescr(index);
  const int columns = IndexRelationGetNumberOfKeyAttributes(index);
  for (int i = 1; i <= columns; ++i) {
    bool left_null = false;
    bool right_null = false;
    const Datum left_value = index_getattr(left, i, descriptor, &left_null);
    const Datum right_value = index_getattr(right, i, descriptor, &right_null);
    if (left_null || right_null) {
      if (left_null && right_null && index->rd_index->indnullsnotdistinct) continue;
      return false;
    }
    FmgrInfo* compare = index_getprocinfo(index, static_cast<AttrNumber>(i), BTORDER_PROC);
    if (DatumGetInt32(FunctionCall2Coll(compare, index->rd_indcollation[i - 1], left_value,
                                        right_value)) != 0)
      return false;
  }
  return true;
}

bool is_seen(Relation table, ItemPointerData row) {
  bool all_dead = false;
  return table_index_fetch_tuple_check(table, &row, GetActiveSnapshot(), &all_dead);
}

/// True if this entry and one before it in the run of its key both lead to a row that is seen.
bool is_second(Relation table, Relation index, Previous* previous, IndexTuple entry,
               ItemPointerData row) {
  bool seen = false;
  bool looked_at = false;
  bool second = false;
  if (previous->entry != nullptr && same_key(index, previous->entry, entry)) {
    if (!previous->looked_at) previous->seen = is_seen(table, previous->row);
    const bool this_seen = is_seen(table, row);
    second = previous->seen && this_seen;
    seen = previous->seen || this_seen;
    looked_at = true;
  }
  if (previous->entry != nullptr) pfree(previous->entry);
  *previous = {CopyIndexTuple(entry), row, looked_at, seen};
  return second;
}

}  // namespace

bool holds_duplicates(Relation table, Relation index) {
  MemoryContext context =
      AllocSetContextCreate(CurrentMemoryContext, "zorya duplicates", ALLOCSET_SMALL_SIZES);
  MemoryContext outer = MemoryContextSwitchTo(context);
  IndexScanDesc scan = index_beginscan(table, index, GetActiveSnapshot(), 0, 0);
  scan->xs_want_itup = true;
  index_rescan(scan, nullptr, 0, nullptr, 0);
  Previous previous{};
  bool found = false;
  while (!found) {
    const ItemPointer row = index_getnext_tid(scan, ForwardScanDirection);
    if (row == nullptr) break;
    found = is_second(table, index, &previous, scan->xs_itup, *row);
    CHECK_FOR_INTERRUPTS();
  }
  index_endscan(scan);
  MemoryContextSwitchTo(outer);
  MemoryContextDelete(context);
  return found;
}

}  // namespace zorya::query_processor::jobs
