#pragma once

namespace zorya::query_processor {

/// Raises 54000 if a client's transaction would change more rows than it may. Before the row is
/// changed.
void check_room_for_rows(int count);
/// The same for rows that are read with a lock clause: they bound the adjudicator's memory as well.
void check_room_for_mark();
/// Raises 54000 if a client's transaction is older than it may be. At the start of a statement and
/// of COMMIT; costs no clock reading. A running statement is not interrupted.
void check_transaction_age();
/// The same where a transaction that writes commits, by the clock: one without BEGIN may have grown
/// too old in its only statement, or message.
void check_age_at_commit();
/// Raises 0A000 unless the transaction is REPEATABLE READ: at any other level the write set has no
/// meaning.
void check_isolation_level();

}  // namespace zorya::query_processor
