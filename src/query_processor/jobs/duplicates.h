#pragma once

#include "query_processor/pg/server.h"

extern "C" {
#include "utils/relcache.h"
}

namespace zorya::query_processor::jobs {

/// True if two rows that the active snapshot sees share a key of the unique index. Reads the index
/// once, in its order; rows are looked at only where keys are equal. Plain frame.
bool holds_duplicates(Relation table, Relation index);

}  // namespace zorya::query_processor::jobs
