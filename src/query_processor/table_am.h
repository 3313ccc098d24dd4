#pragma once

#include "query_processor/pg/server.h"
#include "query_processor/write_set.h"

extern "C" {
#include "access/tableam.h"
#include "executor/tuptable.h"
}

/// The table access method: heap's own routine, with what reads and writes rows overridden. Rows
/// that only this transaction can see are changed at once, as heap does; rows that others can see
/// are changed in the write set. Every function here is a plain frame (pg/boundary.h).
namespace zorya::query_processor {

extern const TableAmRoutine* heap_routine;

/// Lays the routine out. Once, in the postmaster.
void install_table_am();

/// Ours; lives as long as the process.
const TableAmRoutine* table_am();
/// PostgreSQL's own, that ours is a copy of.
inline const TableAmRoutine* heap_am() { return heap_routine; }
/// True if the relation is stored by ours.
bool is_our_table(Relation relation);

/// While this backend's write set is empty, the next row of a sequential scan is asked of heap's
/// own function, at heap's own cost. To be told when the set gets its first entry, and when it is
/// cleared.
void scan_through_write_set(bool yes);

// table_read.cc, table_write.cc, table_lock.cc and table_ddl.cc: each sets its members of the
// routine.
void set_read_members(TableAmRoutine* routine);
void set_write_members(TableAmRoutine* routine);
void set_lock_members(TableAmRoutine* routine);
void set_ddl_members(TableAmRoutine* routine);

/// Puts a pending version into a slot, without a copy: versions live until the top transaction
/// ends.
void store_version(Version* version, TupleTableSlot* slot);

}  // namespace zorya::query_processor
