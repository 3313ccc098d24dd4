#pragma once

#include "query_processor/pg/server.h"

extern "C" {
#include "executor/tuptable.h"
#include "utils/rel.h"
}

/// How large a key, a column, a row and a transaction may be. Plain frames.
namespace zorya::query_processor::gate {

/// Raises if the new row in `slot`, a column of it, or a key of it is too large, and if the
/// transaction writes more than it ever may. For each row that a client's statement writes, before
/// it is written. Columns count as they are stored: text, varchar, char, json and jsonb compressed.
/// Fact sheet 2.2 and 3.2.
void hold_row_size(Relation relation, TupleTableSlot* slot);

/// Notes where a row was written at once, so that COMMIT can measure what is left of it.
void note_written_row(Relation relation, const ItemPointerData* tid);

/// Has large values compressed by LZ4 if this server was built with it: of a value of one character
/// PostgreSQL's own way leaves a hundredth, and the service was seen to take 214 MiB of one in a
/// column of 1 MiB. Once, at load; what the server was started with stands above it.
void prefer_lz4();

/// Registers the check of the transaction's size at COMMIT: rows as they are stored, each in its
/// last version, with their entries in secondary indexes. Once, at load, after the adjudicator's,
/// so that it runs before it. Fact sheet 3.3.
void install_transaction_size();

}  // namespace zorya::query_processor::gate
