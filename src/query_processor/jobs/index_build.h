#pragma once

#include "query_processor/pg/server.h"

extern "C" {
#include "nodes/parsenodes.h"
}

/// The build of an index while writes go on. It is PostgreSQL's CREATE INDEX CONCURRENTLY, cut so
/// that its first part is the client's statement and the rest a job that may die anywhere, and with
/// the question of duplicates moved to the end:
///
///   entry      listed, not valid, not ready: writers know it (no HOT over its columns, keys of a
///              unique one go to the adjudicator), and put nothing into it
///   fill       waits for writers that do not know it; sorts and writes all rows, duplicates too
///   ready      committed: writers put their rows into it, and are refused duplicates
///   complete   waits for writers that did not; adds the rows that came meanwhile, duplicates too
///   duplicates waits for every older snapshot; from here on whoever writes sees all of the index,
///              and the adjudicator has the rest. If two committed rows share a key the job fails,
///              and the index stays: ready, not valid, with all rows in it, so it goes on enforcing
///   valid      committed: queries use it
///
/// The index keeps its oid, nothing is left beside it, and what a dead job did is used or thrown
/// away by the next: before `ready` it begins anew with an empty file, after it `complete` is
/// repeated. Source: locks-ddl study 4; indexcmds.c:DefineIndex. Plain frames.
namespace zorya::query_processor::jobs {

/// The details of a unique index whose rows hold a key twice, as recorded.
inline constexpr const char* kDuplicateKeyDetails =
    "Found duplicate key while validating index for UCVs";

/// Makes the entry, within the client's transaction, and fills it at once if the table is small:
/// that costs less than a job's start, and a unique index then enforces from its first moment. What
/// is whole then is valid too, and leaves a job that only says so.
/// Takes `statement` over. InvalidOid: IF NOT EXISTS, and there is one.
Oid make_index_entry(IndexStmt* statement, const char* query);

/// The rest, from whatever state the index is in. Outside a transaction; the caller holds
/// ShareUpdateExclusiveLock on `table` for its session. Null, or why the index cannot be valid;
/// other errors are raised.
const char* finish_index(Oid table, Oid index);

/// After finish_index has raised: what a fill had written goes back to the disk, which may be full.
/// Outside a transaction, without a lock on `table`; nothing happens if somebody else has it now.
void give_back_unfinished_fill(Oid table, Oid index);

}  // namespace zorya::query_processor::jobs
