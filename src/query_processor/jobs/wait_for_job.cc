// CALL sys.wait_for_job(id).
#include "query_processor/jobs/board.h"
#include "query_processor/settings.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace zorya::query_processor::jobs {
namespace {

/// The end of a job is told; this is for what cannot be told, a server that lost its workers.
constexpr long kLookAgainMs = 500;

/// A waiting session must not hold what the job waits for, so it is in no transaction while it
/// waits: none that has a snapshot, anyway.
bool wait_for(const char* id) {
  const TimestampTz deadline = TimestampTzPlusMilliseconds(
      GetCurrentTimestamp(), INT64CONST(1000) * settings().transaction_age_s_max);
  bool completed = false;
  prepare_to_wait_for_end();
  for (;;) {
    Job job{};
    const bool known = find_job(id, &job);
    completed = known && job.status == JobStatus::kCompleted;
    if (!known || has_ended(job.status) || GetCurrentTimestamp() >= deadline) break;
    SPI_commit();
    wait_for_end(kLookAgainMs);
    CHECK_FOR_INTERRUPTS();
  }
  cancel_wait_for_end();
  return completed;
}

bool may_commit(FunctionCallInfo call) {
  return call->context != nullptr && IsA(call->context, CallContext) &&
         !castNode(CallContext, call->context)->atomic;
}

}  // namespace
}  // namespace zorya::query_processor::jobs

/// One row with one boolean: true if the job completed; false if it failed, was cancelled, is not
/// known, or did not end within the age limit of a transaction.
ZORYA_SQL_FUNCTION(zorya_wait_for_job) {
  namespace jobs = zorya::query_processor::jobs;
  const char* given = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
  if (!jobs::is_job_id(given)) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                    errmsg("Unable to convert text to UUID")));
  }
  if (!jobs::may_commit(fcinfo)) {
    ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                    errmsg("sys.wait_for_job cannot run inside a transaction block")));
  }
  jobs::JobId id{};  // the argument's memory may go with the transaction
  strlcpy(id.text, given, sizeof(id.text));
  SPI_connect_ext(SPI_OPT_NONATOMIC);
  const bool completed = jobs::wait_for(id.text);
  SPI_finish();
  TupleDesc shape = CreateTemplateTupleDesc(1);
  TupleDescInitEntry(shape, 1, "completed", BOOLOID, -1, 0);
  Datum value = BoolGetDatum(completed);
  bool is_null = false;
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(shape), &value, &is_null)));
}
