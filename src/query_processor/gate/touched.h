#pragma once

#include "query_processor/catalogue.h"
#include "query_processor/pg/server.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
}

/// What a utility statement is about, before it runs. Plain frames.
namespace zorya::query_processor::gate {

/// The oids of the relations that it names and that exist. A lock is not taken: the answer is about
/// what the session knows, not about what will be done.
List* touched_relations(Node* statement);

/// What others are told when the schema change commits.
SchemaChangeKind schema_change_kind(Node* statement);

}  // namespace zorya::query_processor::gate
