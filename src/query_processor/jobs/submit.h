#pragma once

#include "query_processor/jobs/job_log.h"

/// How jobs come into the log: with the transaction that leaves them, and gone with its rollback.
/// Plain frames, in a transaction.
namespace zorya::query_processor::jobs {

/// A private notice: the session router turns its message, a job id, into a row with the one column
/// job_id.
inline constexpr int kJobNotice = MAKE_SQLSTATE('Z', 'R', '0', '0', '1');

/// Registers the transaction callbacks. Once, in the postmaster.
void install_submissions();

/// Adds the job that this transaction's schema change leaves, and tells its id. A change that is
/// tried, taken back and made again at COMMIT keeps the id it told. The launcher is woken once the
/// transaction is committed.
void submit_job(JobType type, Oid object, Oid other);

/// Adds a job that has nothing to do, and tells its id. `failure` becomes its details; null: it
/// completed.
void record_ended_job(JobType type, Oid object, const char* failure);

/// Tells the newest job of `type` on `object` if it is still shown; false if there is none.
bool tell_job_of(JobType type, Oid object);

/// This transaction has collected the statistics of `table`, or drops it: a job that has completed
/// when the transaction is committed. Once or many times.
void note_analyzed(Oid table);
void note_dropped(Oid table);

}  // namespace zorya::query_processor::jobs
