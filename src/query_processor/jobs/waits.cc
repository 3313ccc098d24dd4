#include "query_processor/jobs/waits.h"

extern "C" {
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/wait_event.h"
}

namespace zorya::query_processor::jobs {
namespace {

constexpr long kFirstPauseMs = 1;
constexpr long kPauseMsMax = 20;

void wait_until_ended(VirtualTransactionId transaction) {
  for (long pause_ms = kFirstPauseMs; !VirtualXactLock(transaction, false);
       pause_ms = std::min(pause_ms * 2, kPauseMsMax)) {
    sleep_ms(pause_ms);
  }
}

}  // namespace

void sleep_ms(long ms) {
  (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
}

void wait_for_writers(Oid table) {
  LOCKTAG tag;
  SET_LOCKTAG_RELATION(tag, MyDatabaseId, table);
  int count = 0;
  const VirtualTransactionId* writers = GetLockConflicts(&tag, ShareLock, &count);
  for (int i = 0; i < count; ++i) wait_until_ended(writers[i]);
}

void wait_for_older_snapshots(TransactionId xmin) {
  int count = 0;
  // Vacuum's snapshot reads no rows by an index. Of those that CREATE INDEX CONCURRENTLY also
  // passes by, analyse is waited for: the other worker has its mark (worker.cc).
  const VirtualTransactionId* older =
      GetCurrentVirtualXIDs(xmin, true, false, PROC_IN_VACUUM, &count);
  for (int i = 0; i < count; ++i) wait_until_ended(older[i]);
}

}  // namespace zorya::query_processor::jobs
