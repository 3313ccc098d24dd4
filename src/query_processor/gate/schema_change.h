#pragma once

#include "query_processor/gate/utility_call.h"

namespace zorya::query_processor::gate {

/// Runs a checked schema change of a client: in the lane, those of ASYNC up to the job that they
/// leave, and without the lane what finds that there is nothing to do. It may be run twice in one
/// transaction, the first time in a subtransaction that is rolled back. Plain frame.
void run_schema_change(UtilityCall& call);

}  // namespace zorya::query_processor::gate
