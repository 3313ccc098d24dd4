#pragma once

#include "query_processor/pg/server.h"
#include "query_processor/write_set.h"

extern "C" {
#include "executor/tuptable.h"
#include "utils/relcache.h"
}

/// What a row is called before the adjudicator. A unique index makes a *key space*: the table, the
/// columns with their equality and collation, and the expressions and the predicate if there are
/// any; a key is the hash of its space and of the values' equality image (numeric 1.0 is 1.00). The
/// space does not depend on the index's oid, so that the key survives REINDEX CONCURRENTLY; two
/// indexes over the same columns share it. A row's identity is its key in the space of the primary
/// key, or else of the first plain unique index without a null in this row; else its place in the
/// heap.
namespace zorya::query_processor {

/// Adds to the write set the keys that the new row `slot` takes in the unique and exclusion indexes
/// of its table. With `replaced` (the version before it) only those that changed: the others are
/// known already. Raises 40001 OC001 if an index is newer than the transaction's snapshot: rows
/// committed before it left no keys.
void collect_keys(WriteSet& set, Relation relation, TupleTableSlot* slot, TupleTableSlot* replaced);

/// Before a row is deleted or its key is changed. Raises 40001 OC001 if a foreign key that refers
/// to the table is newer than the transaction's snapshot: children that were made before it left no
/// marks, and its own query, which reads as of the snapshot, may not see them.
void refuse_newer_references(Relation relation);

/// The identity of the row in `tuple`, which lies at `place`.
WriteSet::RowIdentity row_identity(Relation relation, HeapTuple tuple, RowId place);

/// Registers for invalidations of what is cached per table. Once, in the postmaster.
void install_identity_cache();

/// Frees what was invalidated during the transaction. From the transaction callbacks.
void release_retired_keys() noexcept;

}  // namespace zorya::query_processor
