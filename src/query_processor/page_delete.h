#pragma once

#include "query_processor/pg/server.h"
#include "query_processor/write_set.h"

extern "C" {
#include "utils/relcache.h"
}

namespace zorya::query_processor {

/// Deletes rows of one heap page under one lock and with one record in the log, as heap_delete does
/// one by one: those at the front of `rows` (each by its place, all in one block) for which it
/// would do nothing but set the row's header. Returns their count, often all. The first that is
/// left is heap_delete's business, which also says what is wrong with it. It must have deleted one
/// row of the page before: that clears the visibility map and tells of our transaction.
std::size_t delete_on_page(Relation relation, std::span<Entry* const> rows, CommandId command);

}  // namespace zorya::query_processor
