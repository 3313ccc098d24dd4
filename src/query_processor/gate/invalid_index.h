#pragma once

#include "query_processor/pg/server.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace zorya::query_processor::gate {

/// Makes the entry of an index whose build failed: listed, not valid, not ready, without contents.
/// Its table's writers pass it by. Takes `statement` over. Plain frame.
Oid make_invalid_index(IndexStmt* statement, const char* query);

}  // namespace zorya::query_processor::gate
