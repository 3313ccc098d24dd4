#pragma once

#include "query_processor/pg/server.h"
#include "query_processor/write_set.h"

extern "C" {
#include "storage/itemptr.h"
#include "utils/rel.h"
}

namespace zorya::query_processor {

/// What this backend keeps between statements. Freed by the transaction callbacks (commit.cc).
struct Backend {
  WriteSet write_set;
  MemoryContext memory =
      nullptr;            // of pending tuples; a child of the top transaction's, null until needed
  bool applying = false;  // the write set is being written: reads see the heap as it is
  int building =
      0;  // index builds in progress: they see the heap as it is, and wait as PostgreSQL does
  bool checks_keys_later = false;  // the index that is being completed takes duplicates
};

/// Made in the postmaster, inherited by every backend.
extern Backend* backend;

/// Memory for pending tuples: until the end of the top transaction.
MemoryContext write_set_memory();

inline RowId row_id(const ItemPointerData* tid) {
  return {ItemPointerGetBlockNumberNoCheck(tid), ItemPointerGetOffsetNumberNoCheck(tid)};
}
/// The file that the relation's rows lie in now. Places in it say nothing of another one.
inline StorageId storage_of(Relation relation) { return relation->rd_node.relNode; }

inline ItemPointerData item_pointer(RowId row) {
  ItemPointerData tid;
  tid.ip_blkid.bi_hi = static_cast<std::uint16_t>(row.block >> 16);
  tid.ip_blkid.bi_lo = static_cast<std::uint16_t>(row.block & 0xffffU);
  tid.ip_posid = row.offset;
  return tid;
}

}  // namespace zorya::query_processor
