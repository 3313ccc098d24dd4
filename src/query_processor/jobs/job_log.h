#pragma once

#include "query_processor/pg/server.h"

/// The rows of sys.job_log, which sys.jobs shows. A client's transaction adds them; afterwards only
/// the worker that has claimed the job changes them. Plain frames, in a transaction.
namespace zorya::query_processor::jobs {

/// 128 bits in base32, lower case.
inline constexpr int kJobIdLength = 26;
struct JobId {
  char text[kJobIdLength + 1];
};

enum class JobType { kIndexBuild, kValidation, kAnalyze, kDrop };
enum class JobStatus { kSubmitted, kProcessing, kCompleted, kFailed, kCancelled };

/// Rows of ended jobs are kept this long; sys.jobs hides what is older until it is deleted.
inline constexpr int kJobRetentionMinutes = 30;

struct Job {
  JobId id;
  JobType type;
  JobStatus status;
  Oid object;               // of pg_class: the index of a build, else the table
  Oid other;                // the table of a build, the constraint of a validation
  int starts;               // how often a worker began it and did not come to an end by itself
  std::int64_t start_time;  // TimestampTz
};

bool has_ended(JobStatus status);
/// True if the text has the form of an id.
bool is_job_id(const char* text);
/// A new random id. Raises XX000 without randomness.
JobId new_job_id();

/// False if this cluster has no log as this build writes it (made by an older one, or still being
/// made).
bool log_exists();

/// Adds a row. `details` may be null.
void add_job(const Job& job, const char* details);
/// Writes status, starts and details of the row with job.id; no row: does nothing.
void write_job(const Job& job, const char* details);
/// Deletes the rows that are past their retention; nothing if another is at it.
void forget_old_jobs();

/// The job with that id, as committed by now; false if there is none.
bool find_job(const char* id, Job* out);
/// The newest job of `type` on `object`, if it is still shown; false if there is none.
bool find_job_of(JobType type, Oid object, Job* out);
/// Calls `visit` with every job that has not ended, oldest first, until it returns false.
void for_each_open_job(bool (*visit)(const Job& job, void* argument), void* argument);

}  // namespace zorya::query_processor::jobs
