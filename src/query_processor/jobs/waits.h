#pragma once

#include "query_processor/pg/server.h"

/// What an index build waits for. PostgreSQL's own waits (WaitForLockers) queue in the lock
/// manager, where a client that needs the job's lock would be found in a deadlock with it; these
/// look again and again instead, so that nothing ever points from a job to a client. In a
/// transaction without a snapshot; honour cancel. Plain frames.
namespace zorya::query_processor::jobs {

/// Until `ms` have passed or the latch is set. The one wait here that needs no transaction.
void sleep_ms(long ms);

/// Until every transaction that now holds a lock to write `table` has ended.
void wait_for_writers(Oid table);

/// Until every transaction of this database that now holds a snapshot older than `xmin` has ended.
void wait_for_older_snapshots(TransactionId xmin);

}  // namespace zorya::query_processor::jobs
