#include "query_processor/gate/jobs.h"

#include "query_processor/gate/ddl.h"
#include "query_processor/gate/trial.h"

extern "C" {
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "storage/itemptr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace zorya::query_processor::gate {
namespace {

constexpr int kIdLength = 26;  // 128 bits in base32
constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
/// Columns of sys.job_log, from 0.
enum Column : int { kId, kStatus, kDetails, kType, kClass, kObject, kStart, kUpdate, kColumnCount };

Relation open_log(LOCKMODE mode) {
  const Oid log = get_relname_relid("job_log", get_namespace_oid("sys", false));
  if (!OidIsValid(log))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("no table sys.job_log")));
  return table_open(log, mode);
}

/// A new id: base32, lower case, of 128 random bits.
char* new_job_id() {
  unsigned char bytes[17] = {};
  if (!pg_strong_random(bytes, 16)) {
    ereport(ERROR,
            (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not make a job id: no randomness")));
  }
  auto* id = static_cast<char*>(palloc(kIdLength + 1));
  for (unsigned i = 0; i < kIdLength; ++i) {
    const unsigned bit = i * 5;
    const unsigned pair = static_cast<unsigned>(bytes[bit / 8]) << 8U | bytes[bit / 8 + 1];
    id[i] = kAlphabet[pair >> (11U - bit % 8) & 31U];
  }
  id[kIdLength] = '\0';
  return id;
}

bool is_job_id(const char* id) {
  return strlen(id) == kIdLength && strspn(id, kAlphabet) == kIdLength;
}

/// Calls `visit` with every row of the log that is committed by now, until it returns false.
template <typename Visit>
void for_each_job(Relation log, Visit visit) {
  Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
  TableScanDesc scan = table_beginscan(log, snapshot, 0, nullptr);
  while (HeapTuple row = heap_getnext(scan, ForwardScanDirection)) {
    if (!visit(row)) break;
  }
  table_endscan(scan);
  UnregisterSnapshot(snapshot);
}

TimestampTz oldest_kept() {
  return GetCurrentTimestamp() - INT64CONST(60000000) * kJobRetentionMinutes;
}

void tell_job(const char* id) { ereport(NOTICE, (errcode(kJobNotice), errmsg_internal("%s", id))); }

/// In a schema change only: these pass one lane, so that nobody else is at the rows.
void forget_old_jobs(Relation log) {
  const TimestampTz oldest = oldest_kept();
  for_each_job(log, [log, oldest](HeapTuple row) {
    bool is_null = false;
    const Datum updated = heap_getattr(row, kUpdate + 1, RelationGetDescr(log), &is_null);
    if (DatumGetTimestampTz(updated) < oldest) simple_heap_delete(log, &row->t_self);
    return true;
  });
}

const char* type_name(JobType type) {
  switch (type) {
    case JobType::kIndexBuild:
      return "INDEX_BUILD";
    case JobType::kValidation:
      return "VALIDATE_CONSTRAINT";  // the service's name for it is not recorded
  }
  return "INDEX_BUILD";
}

}  // namespace

void record_job(const Job& job) {
  // In a transaction block the id is told at the trial, and the job is made at COMMIT.
  const char* id = kept_job_id();
  if (id == nullptr) keep_job_id(id = new_job_id());
  Relation log = open_log(RowExclusiveLock);
  if (in_ddl()) forget_old_jobs(log);
  Datum values[kColumnCount] = {};
  bool nulls[kColumnCount] = {};
  values[kId] = CStringGetTextDatum(id);
  values[kStatus] = CStringGetTextDatum(job.failure == nullptr ? "completed" : "failed");
  nulls[kDetails] = job.failure == nullptr;
  if (job.failure != nullptr) values[kDetails] = CStringGetTextDatum(job.failure);
  values[kType] = CStringGetTextDatum(type_name(job.type));
  values[kClass] = ObjectIdGetDatum(RelationRelationId);
  values[kObject] = ObjectIdGetDatum(job.object);
  values[kStart] = TimestampTzGetDatum(job.start_time);
  values[kUpdate] = TimestampTzGetDatum(GetCurrentTimestamp());
  simple_heap_insert(log, heap_form_tuple(RelationGetDescr(log), values, nulls));
  table_close(log, NoLock);
  tell_job(id);
}

bool tell_job_of(Oid object) {
  const char* newest = nullptr;
  TimestampTz newest_update = DT_NOBEGIN;
  Relation log = open_log(AccessShareLock);
  for_each_job(log, [log, object, &newest, &newest_update](HeapTuple row) {
    bool is_null = false;
    const Datum row_object = heap_getattr(row, kObject + 1, RelationGetDescr(log), &is_null);
    const Datum update = heap_getattr(row, kUpdate + 1, RelationGetDescr(log), &is_null);
    if (DatumGetObjectId(row_object) != object || DatumGetTimestampTz(update) < newest_update)
      return true;
    newest_update = DatumGetTimestampTz(update);
    newest = TextDatumGetCString(heap_getattr(row, kId + 1, RelationGetDescr(log), &is_null));
    return true;
  });
  table_close(log, AccessShareLock);
  if (newest == nullptr || newest_update < oldest_kept()) return false;
  tell_job(newest);
  return true;
}

}  // namespace zorya::query_processor::gate

/// CALL sys.wait_for_job(id): one row with one boolean, true if the job completed. A job has ended
/// when its statement has, so there is nothing to wait for.
ZORYA_SQL_FUNCTION(zorya_wait_for_job) {
  using namespace zorya::query_processor::gate;
  const char* id = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
  if (!is_job_id(id)) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                    errmsg("Unable to convert text to UUID")));
  }
  bool completed = false;
  Relation log = open_log(AccessShareLock);
  for_each_job(log, [log, id, &completed](HeapTuple row) {
    bool is_null = false;
    const Datum row_id = heap_getattr(row, kId + 1, RelationGetDescr(log), &is_null);
    if (strcmp(TextDatumGetCString(row_id), id) != 0) return true;
    const Datum status = heap_getattr(row, kStatus + 1, RelationGetDescr(log), &is_null);
    completed = strcmp(TextDatumGetCString(status), "completed") == 0;
    return false;
  });
  table_close(log, AccessShareLock);
  TupleDesc shape = CreateTemplateTupleDesc(1);
  TupleDescInitEntry(shape, 1, "completed", BOOLOID, -1, 0);
  Datum value = BoolGetDatum(completed);
  bool is_null = false;
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(shape), &value, &is_null)));
}
