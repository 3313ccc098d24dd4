// A worker: connects as the role of jobs, does what is in the log, and ends. A job is done as the
// owner of its table, by a session that cannot be more than that owner.
#include "query_processor/jobs/worker.h"

#include "query_processor/jobs/board.h"
#include "query_processor/jobs/index_build.h"
#include "query_processor/jobs/waits.h"
#include "query_processor/plant.h"

extern "C" {
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
}

namespace zorya::query_processor::jobs {
namespace {

constexpr const char* kDatabase = "postgres";
constexpr const char* kRole = "zorya_jobs";
/// After a job had to give way: long enough for the client who needed it, and those behind.
constexpr long kFirstPauseMs = 50;
constexpr long kPauseMsMax = 1000;
/// A job that the server died of (or ran out of something) so often is given up.
constexpr int kStartsMax = 8;

bool in_worker = false;

/// A job that waits for its next try.
struct Paused {
  JobId id;
  TimestampTz until;
  long pause_ms;
};

/// What a worker knows, in its top memory. Plain data.
struct Worker {
  int index;
  List* paused;  // of Paused
  Job job;       // the one in hand
  Oid table;     // of it; locked for the session while `locked`
  Oid owner;
  bool owner_is_superuser;
  bool locked;
};

// ------------------------------------------------------------------ the table's lock

LOCKTAG tag_of(Oid table) {
  LOCKTAG tag;
  SET_LOCKTAG_RELATION(tag, MyDatabaseId, table);
  return tag;
}

/// Never queues: in a queue it would stand between a client and the one that client waits for.
bool lock_table(Worker* worker) {
  const LOCKTAG tag = tag_of(worker->table);
  worker->locked = LockAcquire(&tag, ShareUpdateExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
  // What whoever had it before has committed.
  if (worker->locked) AcceptInvalidationMessages();
  return worker->locked;
}

/// An aborted transaction has let it go already.
void unlock_table(Worker* worker) {
  const LOCKTAG tag = tag_of(worker->table);
  if (worker->locked && LockHeldByMe(&tag, ShareUpdateExclusiveLock))
    LockRelease(&tag, ShareUpdateExclusiveLock, true);
  worker->locked = false;
}

/// PostgreSQL itself cancels whoever has this mark when somebody has waited for its lock for
/// deadlock_timeout. It is autovacuum's, and means what a job means by it: I give way.
void mark_as_giving_way() {
  LWLockAcquire(ProcArrayLock, LW_EXCLUSIVE);
  MyProc->statusFlags |= PROC_IS_AUTOVACUUM;
  ProcGlobal->statusFlags[MyProc->pgxactoff] = MyProc->statusFlags;
  LWLockRelease(ProcArrayLock);
}

// ------------------------------------------------------------------ one job

enum class Ready { kYes, kLater, kGone };

/// The table of the job in hand; InvalidOid if it is gone, or what the job is for.
Oid table_of(const Job& job) {
  if (job.type == JobType::kIndexBuild) {
    if (!SearchSysCacheExists1(INDEXRELID, ObjectIdGetDatum(job.object))) return InvalidOid;
    return IndexGetRelation(job.object, true);
  }
  if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(job.object))) return InvalidOid;
  if (!SearchSysCacheExists1(CONSTROID, ObjectIdGetDatum(job.other))) return InvalidOid;
  return job.object;
}

Oid owner_of(Oid table) {
  HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  if (!HeapTupleIsValid(row)) elog(ERROR, "no table %u", table);
  const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner;
  ReleaseSysCache(row);
  return owner;
}

void write(Worker* worker, JobStatus status, const char* details) {
  StartTransactionCommand();
  worker->job.status = status;
  write_job(worker->job, details);
  CommitTransactionCommand();
}

/// Takes the table's lock, and notes in the log that the job is begun once more.
Ready begin_job(Worker* worker) {
  Ready ready = Ready::kGone;
  StartTransactionCommand();
  worker->table = table_of(worker->job);
  if (OidIsValid(worker->table)) {
    ready = lock_table(worker) ? Ready::kYes : Ready::kLater;
    // Under the lock it cannot go any more; it may have gone before.
    if (ready == Ready::kYes && table_of(worker->job) != worker->table) ready = Ready::kGone;
  }
  if (ready == Ready::kYes) {
    worker->owner = owner_of(worker->table);
    worker->owner_is_superuser = superuser_arg(worker->owner);
    worker->job.status = JobStatus::kProcessing;
    ++worker->job.starts;
    write_job(worker->job, nullptr);
  }
  CommitTransactionCommand();
  return ready;
}

/// The statement of a client of PostgreSQL, run by the table's owner.
void run_statement(const char* text) {
  PushActiveSnapshot(GetTransactionSnapshot());
  auto* planned = makeNode(PlannedStmt);
  planned->commandType = CMD_UTILITY;
  planned->utilityStmt = linitial_node(RawStmt, pg_parse_query(text))->stmt;
  ProcessUtility(planned, text, false, PROCESS_UTILITY_TOPLEVEL, nullptr, nullptr, None_Receiver,
                 nullptr);
  PopActiveSnapshot();
}

void validate_constraint(const Job& job) {
  StartTransactionCommand();
  const char* table = get_rel_name(job.object);
  const char* constraint = get_constraint_name(job.other);
  // Gone since the job began: the retry finds that out.
  if (table == nullptr || constraint == nullptr)
    ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("the constraint is gone")));
  const char* schema = get_namespace_name(get_rel_namespace(job.object));
  run_statement(psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s",
                         quote_qualified_identifier(schema, table), quote_identifier(constraint)));
  CommitTransactionCommand();
}

void do_job(Worker* worker) {
  stop_point("job_begun");
  const char* failure = nullptr;
  SetCurrentRoleId(worker->owner, worker->owner_is_superuser);
  if (worker->job.type == JobType::kIndexBuild) {
    failure = finish_index(worker->table, worker->job.object);
  } else {
    validate_constraint(worker->job);
  }
  SetCurrentRoleId(InvalidOid, false);
  stop_point("job_done");
  write(worker, failure == nullptr ? JobStatus::kCompleted : JobStatus::kFailed, failure);
}

// ------------------------------------------------------------------ giving way

Paused* paused_of(Worker* worker, const JobId& id) {
  ListCell* cell;
  foreach (cell, worker->paused) {
    auto* paused = static_cast<Paused*>(lfirst(cell));
    if (strcmp(paused->id.text, id.text) == 0) return paused;
  }
  return nullptr;
}

void pause_job(Worker* worker) {
  Paused* paused = paused_of(worker, worker->job.id);
  if (paused == nullptr) {
    MemoryContext outer = MemoryContextSwitchTo(TopMemoryContext);
    paused = static_cast<Paused*>(palloc0(sizeof(Paused)));
    paused->id = worker->job.id;
    worker->paused = lappend(worker->paused, paused);
    MemoryContextSwitchTo(outer);
  }
  paused->pause_ms = std::clamp(paused->pause_ms * 2, kFirstPauseMs, kPauseMsMax);
  paused->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), paused->pause_ms);
}

void end_job(Worker* worker) {
  if (Paused* paused = paused_of(worker, worker->job.id)) {
    worker->paused = list_delete_ptr(worker->paused, paused);
    pfree(paused);
  }
  tell_ended();
}

bool gives_way(const ErrorData* error) {
  const int sqlstate = error->sqlerrcode;
  // RENAME of the index, or GRANT: they change its row in the catalogue and lock nothing that a
  // build holds.
  if (sqlstate == ERRCODE_INTERNAL_ERROR && error->message != nullptr &&
      strncmp(error->message, "tuple concurrently", strlen("tuple concurrently")) == 0) {
    return true;
  }
  return sqlstate == ERRCODE_QUERY_CANCELED || sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ||
         sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED || sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE;
}

bool may_pass(int sqlstate) {
  const int category = ERRCODE_TO_CATEGORY(sqlstate);
  return category == ERRCODE_INSUFFICIENT_RESOURCES || category == ERRCODE_SYSTEM_ERROR;
}

bool is_gone(const Job& job) {
  StartTransactionCommand();
  const bool gone = !OidIsValid(table_of(job));
  CommitTransactionCommand();
  return gone;
}

/// The words for a table are recorded, the others follow them.
const char* what_is_gone(const Job& job) {
  const bool is_build = job.type == JobType::kIndexBuild;
  const Oid table = is_build ? job.other : job.object;
  if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table)))
    return "Skipped job for nonexistent table.";
  return is_build ? "Skipped job for nonexistent index."
                  : "Skipped job for nonexistent constraint.";
}

void cancel_job(Worker* worker) {
  StartTransactionCommand();
  const char* gone = what_is_gone(worker->job);
  CommitTransactionCommand();
  write(worker, JobStatus::kCancelled, gone);
  end_job(worker);
}

/// After an error, outside a transaction.
void take_back_job(Worker* worker, const ErrorData* error) {
  if (gives_way(error)) {
    worker->job.starts = 0;
    write(worker, JobStatus::kProcessing, nullptr);
    return pause_job(worker);
  }
  if (is_gone(worker->job)) return cancel_job(worker);
  ereport(LOG, (errmsg("job %s on relation %u: %s", worker->job.id.text, worker->job.object,
                       error->message)));
  if (worker->job.type == JobType::kIndexBuild)
    give_back_unfinished_fill(worker->table, worker->job.object);
  if (may_pass(error->sqlerrcode) && worker->job.starts < kStartsMax) return pause_job(worker);
  write(worker, JobStatus::kFailed, error->message);
  end_job(worker);
}

void try_job(Worker* worker) {
  if (worker->job.starts >= kStartsMax) {
    write(worker, JobStatus::kFailed, "The job was interrupted too often.");
    return end_job(worker);
  }
  switch (begin_job(worker)) {
    case Ready::kLater:
      return pause_job(worker);
    case Ready::kGone:
      unlock_table(worker);
      return cancel_job(worker);
    case Ready::kYes:
      do_job(worker);
      unlock_table(worker);
      return end_job(worker);
  }
}

/// Errors end the job's try and not the worker; what fails in the handling of one ends it.
void run_job(Worker* worker, MemoryContext context) {
  PG_TRY();
  { try_job(worker); }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    ErrorData* error = CopyErrorData();
    FlushErrorState();
    AbortOutOfAnyTransaction();
    SetCurrentRoleId(InvalidOid, false);
    unlock_table(worker);
    MemoryContextSwitchTo(context);
    take_back_job(worker, error);
  }
  PG_END_TRY();
  MemoryContextSwitchTo(context);
}

// ------------------------------------------------------------------ the worker

/// What a look at the log found.
struct Look {
  Worker* worker;
  bool found;         // worker->job
  bool more;          // another one that nobody has
  TimestampTz until;  // when the first that is paused is due; DT_NOEND: none is
};

bool look_at(const Job& job, void* argument) {
  auto* look = static_cast<Look*>(argument);
  const Paused* paused = paused_of(look->worker, job.id);
  if (paused != nullptr && paused->until > GetCurrentTimestamp()) {
    look->until = std::min(look->until, paused->until);
  } else if (look->found) {
    look->more = look->more || !is_claimed_by_other(look->worker->index, job.id);
  } else if (claim(look->worker->index, job.id)) {
    look->worker->job = job;
    look->found = true;
  }
  return !look->more;
}

Look look_for_job(Worker* worker) {
  Look look{worker, false, false, DT_NOEND};
  release_claim(worker->index);
  QueryCancelPending = false;  // meant for the job that is done
  StartTransactionCommand();
  for_each_open_job(look_at, &look);
  CommitTransactionCommand();
  // Whoever ended it in the meantime had its claim until then: look at it once more.
  if (look.found) {
    StartTransactionCommand();
    Job now{};
    look.found = find_job(worker->job.id.text, &now) && !has_ended(now.status);
    worker->job = now;
    CommitTransactionCommand();
    if (!look.found) look.until = GetCurrentTimestamp();
  }
  return look;
}

void sleep_until(TimestampTz until) {
  sleep_ms(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until) + 1);
}

bool prepare_log() {
  StartTransactionCommand();
  const bool usable = log_exists();
  if (usable) forget_old_jobs();
  CommitTransactionCommand();
  return usable;
}

void set_override(const char* name, const char* value) {
  SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

void run_worker(int index) {
  in_worker = true;
  BackgroundWorkerInitializeConnection(kDatabase, kRole, 0);
  // What it waits for takes what clients take; what clients wait for it gives up by itself.
  set_override("lock_timeout", "0");
  set_override("statement_timeout", "0");
  set_override("idle_in_transaction_session_timeout", "0");
  set_override("temp_file_limit", "-1");
  mark_as_giving_way();
  MemoryContext context =
      AllocSetContextCreate(TopMemoryContext, "zorya job", ALLOCSET_DEFAULT_SIZES);
  MemoryContextSwitchTo(context);
  Worker worker{};
  worker.index = index;
  if (!prepare_log()) return;
  for (;;) {
    const Look look = look_for_job(&worker);
    if (look.more) wake_launcher();
    if (look.found) {
      run_job(&worker, context);
    } else if (look.until == DT_NOEND) {
      return;
    } else {
      sleep_until(look.until);
    }
    MemoryContextReset(context);
  }
}

}  // namespace

bool is_worker() { return in_worker; }

}  // namespace zorya::query_processor::jobs

extern "C" __attribute__((visibility("default"))) void zorya_job_worker_main(Datum index) {
  namespace jobs = zorya::query_processor::jobs;
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  jobs::run_worker(DatumGetInt32(index));
  jobs::note_orderly_end(DatumGetInt32(index));
  proc_exit(0);
}
