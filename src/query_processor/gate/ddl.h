#pragma once

#include "query_processor/pg/server.h"

/// Schema changes: one in a transaction, never together with data changes, one session at a time,
/// and none waits. Plain frames.
namespace zorya::query_processor::gate {

/// How long a schema change may wait for any one lock, the lane included. Then it lets go and runs
/// again.
inline constexpr int kDdlLockTimeoutMs = 40;
/// How often it runs until it has its locks; then it is 40001 (OC001). Where no session router ends
/// those in its way it runs once.
inline constexpr int kDdlAttemptsMax = 10;
/// The longest pause between two attempts.
inline constexpr int kDdlPauseMsMax = 40;

/// Registers the callback that ends a transaction's notes. Once, at load.
void install_transaction_notes();

/// A schema change begins: raises if this transaction has another or has changed data.
void note_ddl();
/// A data change begins: raises if this transaction has changed the schema.
void note_dml();
/// True after note_ddl, to the end of the transaction.
bool has_noted_ddl();
/// True while a schema change runs: what it does inside is its own.
bool in_ddl();

/// Runs `body` as the schema change of this transaction: holds the lane to the transaction's end,
/// bounds every wait, and reports what only a concurrent schema change can cause as 40001 (OC001).
/// `body` may run several times: what it did is rolled back before the next.
void run_ddl(void (*body)(void*), void* argument);

/// Runs `body`; a lock wait that ended is 40001 (OC001).
void run_guarded(void (*body)(void*), void* argument);

}  // namespace zorya::query_processor::gate
