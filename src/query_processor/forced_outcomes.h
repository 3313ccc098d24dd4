#pragma once

#include "query_processor/pg/server.h"

#include <cstdint>

extern "C" {
#include "nodes/pg_list.h"
}

/// What a test may force, on a server that was started for it (zorya.forced_outcomes;
/// docs/testing.md): the next commits that touch a table end in 40001 or 54000, or lose their
/// connection at a named point; a transaction is made older. What is forced lies in shared memory,
/// holds for all sessions, and counts how often it came true. On any other server nothing here can
/// be reached, and a commit pays for it with the reading of one flag.
namespace zorya::query_processor {

/// Where in a COMMIT that writes something can be forced.
enum class CommitPoint : std::uint8_t {
  kBeforeVerdict,
  kAfterVerdict,  // the keys are claimed: others see at worst a needless conflict
  kAfterApply,    // in heap and indexes, not committed
  kAfterFlush,    // committed and durable, not answered
  kStatement,     // none of a commit's: a statement that reads or writes the table begins
  kCount
};

/// Set at the start of the server, never after it.
extern bool forced_outcomes_on;

/// The seconds by which a test made this transaction older.
extern int forced_age_s;

namespace forced {
void note_touched(Oid relation);
void come_to(CommitPoint point);
void come_to_statement(List* range_table);
}  // namespace forced

/// This transaction changes or marks rows of the table.
inline void note_touched(Oid relation) {
  if (unlikely(forced_outcomes_on)) forced::note_touched(relation);
}

/// Lets happen what a test asked for at this point of a COMMIT that touches the tables noted. May
/// raise, but not at kAfterFlush, where PostgreSQL can take no error any more.
inline void come_to(CommitPoint point) {
  if (unlikely(forced_outcomes_on)) forced::come_to(point);
}

/// The same where a statement of a client begins.
inline void come_to_statement(List* range_table) {
  if (unlikely(forced_outcomes_on)) forced::come_to_statement(range_table);
}

/// At the end of a transaction.
void forget_forced();

/// Defines the setting, asks for the shared memory and registers the worker that makes or removes
/// schema zorya. Once, in the postmaster.
void install_forced_outcomes();

}  // namespace zorya::query_processor
