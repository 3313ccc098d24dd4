#pragma once

#include "query_processor/pg/server.h"

extern "C" {
#include "nodes/pg_list.h"
}

/// Relations that a schema change wants and could not get: from then on statements of others that
/// use one are told OC001 at once instead of being let in between two attempts, so that those who
/// hold it become fewer until there are none. One schema change at a time, by the lane. Plain
/// frames.
namespace zorya::query_processor {

/// Asks for shared memory and registers for the ends of transactions. Once, in the postmaster.
void install_wanted_relations();

/// This session's schema change wants `relation`, until stop_wanting() or the transaction's end.
/// Beyond a few relations more are not noted, and only the ladder ends their users. In the lane.
void want_relation(Oid relation);
/// It has what it wants, or gives up. May be called without need.
void stop_wanting() noexcept;

/// True if another session's schema change wants one of `relations` (oids): the caller raises
/// OC001. The transaction's end then takes up to 40 ms, after it has let go of its locks, so that
/// who tries again at once does not come too early. Reads one word of shared memory while nobody
/// wants anything.
bool is_wanted_by_other(const List* relations) noexcept;

}  // namespace zorya::query_processor
