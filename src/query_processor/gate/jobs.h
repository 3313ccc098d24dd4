#pragma once

#include "query_processor/pg/server.h"

/// The jobs of sys.jobs. In this form a job has ended when its statement has: what DSQL does in the
/// background is done at once, in the statement's own transaction. Plain frames.
namespace zorya::query_processor::gate {

/// A private notice: the session router turns its message, a job id, into a row with the one column
/// job_id.
inline constexpr int kJobNotice = MAKE_SQLSTATE('Z', 'R', '0', '0', '1');

/// Rows of ended jobs are kept this long.
inline constexpr int kJobRetentionMinutes = 30;

/// The details of a unique index whose rows hold a key twice, as recorded.
inline constexpr const char* kDuplicateKeyDetails =
    "Found duplicate key while validating index for UCVs";

enum class JobType { kIndexBuild, kValidation };

struct Job {
  JobType type;
  Oid object;               // of pg_class
  std::int64_t start_time;  // TimestampTz
  const char* failure;      // becomes `details`; null: completed
};

/// Sends the notice of the newest job on `object` that is still in the log; false if there is none.
bool tell_job_of(Oid object);

/// Writes the job into sys.job_log and sends the notice. In a transaction.
void record_job(const Job& job);

}  // namespace zorya::query_processor::gate
