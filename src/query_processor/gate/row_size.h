#pragma once

#include "query_processor/pg/server.h"

extern "C" {
#include "executor/tuptable.h"
#include "utils/rel.h"
}

/// How large a column, a row and a transaction may be. Plain frames.
namespace zorya::query_processor::gate {

/// A column's bytes as they are stored: text, varchar, char, json and jsonb count compressed. Fact
/// sheet 2.2 and 3.2.
inline constexpr std::size_t kColumnBytesMax = std::size_t{1} << 20U;
inline constexpr std::size_t kRowBytesMax = std::size_t{2} << 20U;
/// What a transaction's new rows may add up to; raised at COMMIT. Fact sheet 3.3.
inline constexpr std::size_t kTransactionBytesMax = std::size_t{10} << 20U;

/// Raises if the new row in `slot` is too large, and counts it towards the transaction. For each
/// row that a client's statement writes, before it is written. A row that is written twice counts
/// twice.
void hold_row_size(Relation relation, TupleTableSlot* slot);

/// Registers the check at COMMIT. Once, at load, after the adjudicator's, so that it runs before
/// it.
void install_transaction_size();

}  // namespace zorya::query_processor::gate
