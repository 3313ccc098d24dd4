#include "query_processor/gate/awaited_relation.h"

#include <csignal>

extern "C" {
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
}

namespace zorya::query_processor::gate {
namespace {

constexpr int kPeriodMs = 5;

volatile Oid awaited = InvalidOid;
TimeoutId timer = MAX_TIMEOUTS;  // none yet

/// In a signal handler. While this backend is listed as waiting for it the lock cannot go.
void look() {
  const LOCK* lock = MyProc->waitLock;
  if (lock != nullptr && lock->tag.locktag_type == LOCKTAG_RELATION)
    awaited = lock->tag.locktag_field2;
}

}  // namespace

void watch_awaited_relation() {
  if (timer == MAX_TIMEOUTS) timer = RegisterTimeout(USER_TIMEOUT, look);
  awaited = InvalidOid;
  enable_timeout_every(timer, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kPeriodMs),
                       kPeriodMs);
}

Oid last_awaited_relation() {
  if (timer != MAX_TIMEOUTS) disable_timeout(timer, false);
  return awaited;
}

}  // namespace zorya::query_processor::gate
