#pragma once

#include "query_processor/pg/server.h"

/// Which relation's lock this backend waits for. PostgreSQL forgets it before it raises the error
/// that ends the wait, so a timer looks meanwhile.
namespace zorya::query_processor::gate {

/// Begins to look, and forgets what it had seen.
void watch_awaited_relation();
/// Ends that; InvalidOid if no wait was seen. May be called without need.
Oid last_awaited_relation();

}  // namespace zorya::query_processor::gate
