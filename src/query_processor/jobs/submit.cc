#include "query_processor/jobs/submit.h"

#include "query_processor/jobs/board.h"

extern "C" {
#include "access/xact.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace zorya::query_processor::jobs {
namespace {

struct Note {
  JobType type;
  Oid object;
  SubTransactionId subtransaction;
  TimestampTz start_time;
};

/// What this transaction has left so far. One backend, one thread.
struct Submissions {
  JobId told;    // empty: none
  bool waiting;  // a job that a worker must do
  List* notes;   // of Note, in the top transaction's memory
};
Submissions submissions{};

void tell(const JobId& id) {
  ereport(NOTICE, (errcode(kJobNotice), errmsg_internal("%s", id.text)));
}

/// The id of this transaction's job: made and told at the first need, as a transaction has one
/// schema change.
void tell_once() {
  if (submissions.told.text[0] != '\0') return;
  submissions.told = new_job_id();
  tell(submissions.told);
}

void note(JobType type, Oid object) {
  ListCell* cell;
  foreach (cell, submissions.notes) {
    const auto* known = static_cast<const Note*>(lfirst(cell));
    if (known->type == type && known->object == object) return;
  }
  MemoryContext outer = MemoryContextSwitchTo(TopTransactionContext);
  auto* made = static_cast<Note*>(palloc(sizeof(Note)));
  *made = {type, object, GetCurrentSubTransactionId(), GetCurrentTimestamp()};
  submissions.notes = lappend(submissions.notes, made);
  MemoryContextSwitchTo(outer);
}

void add_noted_jobs() {
  // A cluster of an older build has no such log: its statistics are collected all the same.
  if (submissions.notes == NIL || !log_exists()) return;
  PushActiveSnapshot(GetTransactionSnapshot());  // heap wants one, for TOAST
  ListCell* cell;
  foreach (cell, submissions.notes) {
    const auto* noted = static_cast<const Note*>(lfirst(cell));
    const Job job{new_job_id(), noted->type, JobStatus::kCompleted, noted->object,
                  InvalidOid,   0,           noted->start_time};
    add_job(job, nullptr);
  }
  PopActiveSnapshot();
  // A worker looks after the log; nothing else may need one for days.
  if (note_ended_rows(list_length(submissions.notes))) submissions.waiting = true;
}

void on_transaction(XactEvent event, void* /*argument*/) {
  if (event == XACT_EVENT_PRE_COMMIT) return add_noted_jobs();
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT) return;
  if (event == XACT_EVENT_COMMIT && submissions.waiting) wake_launcher();
  submissions = {};
}

void on_subtransaction(SubXactEvent event, SubTransactionId number, SubTransactionId parent,
                       void* /*argument*/) {
  if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB) return;
  ListCell* cell;
  foreach (cell, submissions.notes) {
    auto* noted = static_cast<Note*>(lfirst(cell));
    if (noted->subtransaction != number) continue;
    if (event == SUBXACT_EVENT_COMMIT_SUB) {
      noted->subtransaction = parent;
    } else {
      submissions.notes = foreach_delete_current(submissions.notes, cell);
    }
  }
}

}  // namespace

void install_submissions() {
  RegisterXactCallback(on_transaction, nullptr);
  RegisterSubXactCallback(on_subtransaction, nullptr);
}

void submit_job(JobType type, Oid object, Oid other) {
  tell_once();
  const Job job{submissions.told,     type, JobStatus::kSubmitted, object, other, 0,
                GetCurrentTimestamp()};
  add_job(job, nullptr);
  submissions.waiting = true;
}

void record_ended_job(JobType type, Oid object, const char* failure) {
  const JobStatus status = failure == nullptr ? JobStatus::kCompleted : JobStatus::kFailed;
  tell_once();
  const Job job{submissions.told, type, status, object, InvalidOid, 0, GetCurrentTimestamp()};
  add_job(job, failure);
}

bool tell_job_of(JobType type, Oid object) {
  Job job{};
  if (!find_job_of(type, object, &job)) return false;
  tell(job.id);
  return true;
}

void note_analyzed(Oid table) { note(JobType::kAnalyze, table); }
void note_dropped(Oid table) { note(JobType::kDrop, table); }

}  // namespace zorya::query_processor::jobs
