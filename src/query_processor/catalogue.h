#pragma once

#include "adjudicator/write_record.h"
#include "query_processor/pg/server.h"

extern "C" {
#include "executor/execdesc.h"
#include "nodes/pg_list.h"
}

/// Which state of the catalogue a session works with. Each committed schema change makes a new
/// version; a session that has not seen a change of something that it uses is told so once, 40001
/// OC001, at its next statement or at COMMIT. Nothing depends on it but that answer: what
/// PostgreSQL does with a catalogue that moves is its own business. Plain frames.
namespace zorya::query_processor {

/// Asks for shared memory and registers for the ends of transactions. Once, in the postmaster.
void install_catalogue();

// ------------------------------------------------------------------ a session that uses it

/// A statement of a client begins. Raises OC001 if what it or the session uses has changed since
/// the session last looked, and 42P01 if it names a relation that its snapshot is too old for.
/// Costs one reading of shared memory when nothing has changed. A function's statement is told what
/// has changed since its caller began; those of foreign keys and schema changes are passed over.
void check_catalogue(const QueryDesc* query);
/// The same for a utility statement that uses `relations` (oids).
void check_catalogue_for(const List* relations);
/// The next query is a part of a client's utility statement (EXPLAIN, COPY) and no nested one.
void expect_query_of_utility();
/// COMMIT was asked for: raises OC001 if what the transaction uses has changed.
void check_catalogue_at_commit();
/// What the verdict wants to know. From then on the session has seen what there is now.
adjudicator::CatalogueUse take_catalogue_use();
/// This backend has taken the place of one that its session has lost, and is now set as that was:
/// it has seen `seen`, and may use anything. 0, or a version of an earlier start of the server, of
/// which nobody knows what changed in it: it has seen what there is now.
void take_over_session(adjudicator::CatalogueVersion seen);
/// The session was, or is about to be, told OC001 for another reason: a lock that it did not get,
/// work that was ended. What changes up to its next statement is no news to it.
void note_told_of_change();
/// It is not told after all: what failed is done again.
void note_not_told_of_change();
/// An error says that a name does not exist, or not for this role. True if there is a change that
/// the session has not seen, which it has then: the error is to be OC001.
bool is_error_of_stale_catalogue();

// ------------------------------------------------------------------ a session that changes it

enum class SchemaChangeKind : std::uint8_t {
  kOfRelations,  // those that PostgreSQL's own invalidations name; new ones are no change
  kOfIndexes,    // a new index: no change, unless zorya.index_changes_conflict says so
  kForAll,       // of what is no relation: schemas, functions, domains
};

/// This transaction changes the schema; at its COMMIT others are told. In the lane.
void note_schema_change(SchemaChangeKind kind);
/// The version at which something that is no relation last changed. It stands still in the lane.
adjudicator::CatalogueVersion last_change_for_all();

}  // namespace zorya::query_processor
