#pragma once

#include "query_processor/pg/server.h"

namespace zorya::query_processor::pg {

/// What becomes of the work of a body that raised nothing.
enum class Subtransaction { kKept, kRolledBack };

/// Runs `body` in a subtransaction. Null if it raised nothing; else the error, in the caller's
/// memory context, and what the body did is rolled back. The caller's memory context and resource
/// owner are current again afterwards. Plain frame.
ErrorData* run_in_subtransaction(void (*body)(void*), void* argument, Subtransaction end);

}  // namespace zorya::query_processor::pg
