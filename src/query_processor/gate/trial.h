#pragma once

#include "query_processor/gate/rules.h"
#include "query_processor/gate/utility_call.h"

/// A schema change inside a transaction block. It runs at once, as a trial in a subtransaction that
/// is rolled back, so that its answer is the true one and yet no uncommitted row of the catalogue,
/// no lock and no lane outlives the statement; at COMMIT it runs again. Until then the transaction
/// itself does not see it either. Plain frames.
namespace zorya::query_processor::gate {

/// True in a block that BEGIN opened: what a message of several statements opens by itself is none.
bool is_in_explicit_block();

/// Runs the schema change as a trial and keeps it for COMMIT. `check` is its rule's, or null.
void run_trial(UtilityCall& call, void (*check)(Node*, const StatementContext&));

/// At COMMIT, while the block is still open: runs the kept change, if there is one. What passed
/// before and fails now fails because the catalogue moved: 40001 OC001. The caller then lets COMMIT
/// end the block and raises the error behind it.
void run_again_at_commit();

/// The transaction has ended.
void forget_trial();

}  // namespace zorya::query_processor::gate
