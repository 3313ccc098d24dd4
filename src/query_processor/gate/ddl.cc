#include "query_processor/gate/ddl.h"

#include "query_processor/catalogue.h"
#include "query_processor/errors.h"
#include "query_processor/gate/awaited_relation.h"
#include "query_processor/gate/router_notices.h"
#include "query_processor/gate/rules.h"
#include "query_processor/gate/trial.h"
#include "query_processor/pg/subtransaction.h"
#include "query_processor/shared_state.h"
#include "query_processor/wanted_relations.h"

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace zorya::query_processor::gate {
namespace {

/// What this transaction has done so far. One backend, one thread.
struct Notes {
  bool ddl;
  bool dml;
};
Notes notes{};
int ddl_depth = 0;

void forget(XactEvent event, void* /*argument*/) {
  switch (event) {
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PARALLEL_ABORT:
    case XACT_EVENT_PREPARE:
      notes = {};
      ddl_depth = 0;
      forget_trial();
      return;
    default:
      return;
  }
}

/// The lane is a heavyweight lock of ours: it is bounded by lock_timeout, kept to the end of the
/// transaction and gone with its backend. Field 4 keeps it apart from advisory locks (1 and 2),
/// which no client can take anyway.
void enter_lane() {
  LOCKTAG lane;
  constexpr uint32 kLane = 0x5a4f5259;
  SET_LOCKTAG_ADVISORY(lane, MyDatabaseId, kLane, 0, 3);
  if (LockAcquire(&lane, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL) return;
  ++counters().lane_waits;
  LockAcquire(&lane, ExclusiveLock, false, false);
}

/// What the lane took of the bound is not there for the locks behind it: one statement waits 40 ms,
/// not twice.
void enter_lane_on_account() {
  constexpr int kLeastMs = 5;
  const TimestampTz start = GetCurrentTimestamp();
  enter_lane();
  const auto waited_ms =
      static_cast<int>(TimestampDifferenceMilliseconds(start, GetCurrentTimestamp()));
  LockTimeout = std::max(LockTimeout - waited_ms, kLeastMs);
}

/// A wait for a lock met its bound, or was one of a circle.
bool is_end_of_wait(const ErrorData* error) {
  return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
         error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

/// Errors that say nothing of the statement: somebody else changed the catalogue, or held it.
bool is_catalogue_conflict(const ErrorData* error) {
  if (is_end_of_wait(error)) return true;
  if (error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION) {
    return error->schema_name != nullptr && strcmp(error->schema_name, "pg_catalog") == 0;
  }
  return error->sqlerrcode == ERRCODE_INTERNAL_ERROR && error->message != nullptr &&
         (strcmp(error->message, "tuple concurrently updated") == 0 ||
          strcmp(error->message, "tuple concurrently deleted") == 0);
}

struct Call {
  void (*body)(void*);
  void* argument;
  int lock_timeout;  // of each attempt but the first, which has paid for the lane
};

/// One attempt. What it did is rolled back if it raises, with every lock that it took.
ErrorData* attempt(const Call& call) {
  watch_awaited_relation();
  ErrorData* error = pg::run_in_subtransaction(call.body, call.argument, pg::Subtransaction::kKept);
  const Oid awaited = last_awaited_relation();
  if (error != nullptr && is_end_of_wait(error) && OidIsValid(awaited)) want_relation(awaited);
  return error;
}

/// The router ends whoever is in the way, but those need a processor to end. So the change lets go
/// of all but the lane, that nobody behind it waits for longer than it did; leaves time; and runs
/// again, while whoever comes new is told OC001 at once (wanted_relations.h). Without a router
/// nobody gives way, and once is enough.
void run_until_it_has_its_locks(const Call& call) {
  if (!router_is_there()) return call.body(call.argument);
  for (int number = 1;; ++number) {
    ErrorData* error = attempt(call);
    if (error == nullptr) return;
    if (number == kDdlAttemptsMax || !is_end_of_wait(error)) ReThrowError(error);
    FreeErrorData(error);
    note_not_told_of_change();
    LockTimeout = call.lock_timeout;
    (void)WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
                    std::min(number * 10, kDdlPauseMsMax), PG_WAIT_EXTENSION);
    CHECK_FOR_INTERRUPTS();
  }
}

}  // namespace

void install_transaction_notes() { RegisterXactCallback(forget, nullptr); }

void note_ddl() {
  if (notes.ddl) refuse(Clause::kMultipleDdl);
  if (notes.dml) refuse(Clause::kDdlAndDml);
  notes.ddl = true;
}

void note_dml() {
  if (notes.ddl) refuse(Clause::kDdlAndDml);
  notes.dml = true;
}

bool has_noted_ddl() { return notes.ddl; }

bool in_ddl() { return ddl_depth > 0; }

void run_guarded(void (*body)(void*), void* argument) {
  MemoryContext context = CurrentMemoryContext;
  PG_TRY();
  { body(argument); }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    ErrorData* error = CopyErrorData();
    if (!is_catalogue_conflict(error)) PG_RE_THROW();
    FlushErrorState();
    note_told_of_change();
    raise_schema_changed();
  }
  PG_END_TRY();
}

void run_ddl(void (*body)(void*), void* argument) {
  const int timeout_outside = LockTimeout;
  const int temp_limit_outside = temp_file_limit;
  Call call{body, argument,
            timeout_outside > 0 ? std::min(timeout_outside, kDdlLockTimeoutMs) : kDdlLockTimeoutMs};
  ++ddl_depth;
  temp_file_limit = -1;  // the limit is a query's; an index of a large table sorts more
  LockTimeout = call.lock_timeout;
  PG_TRY();
  {
    run_guarded(
        [](void* data) {
          announce_schema_change();
          enter_lane_on_account();
          check_catalogue_for(NIL);  // nothing changes from here on
          run_until_it_has_its_locks(*static_cast<const Call*>(data));
        },
        &call);
  }
  PG_FINALLY();
  {
    (void)last_awaited_relation();
    stop_wanting();
    LockTimeout = timeout_outside;
    temp_file_limit = temp_limit_outside;
    ddl_depth = std::max(ddl_depth - 1, 0);
  }
  PG_END_TRY();
}

}  // namespace zorya::query_processor::gate
