#pragma once

#include "query_processor/gate/utility_call.h"

namespace zorya::query_processor::gate {

/// Runs a checked schema change of a client: in the lane, those of ASYNC as a job that ends with
/// the statement, and without the lane what finds that there is nothing to do. Plain frame.
void run_schema_change(UtilityCall& call);

/// The running schema change made `relation`: how the index of a CREATE INDEX is known.
void note_created_relation(Oid relation);

}  // namespace zorya::query_processor::gate
