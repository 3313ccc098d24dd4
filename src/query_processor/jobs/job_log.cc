#include "query_processor/jobs/job_log.h"

extern "C" {
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace zorya::query_processor::jobs {
namespace {

constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
/// Columns of sys.job_log, from 0.
enum Column : int {
  kId,
  kStatus,
  kDetails,
  kType,
  kClass,
  kObject,
  kOther,
  kStarts,
  kStart,
  kUpdate,
  kColumnCount
};

// The service's words; its name for a validation is not recorded, nor whether it knows `cancelled`.
constexpr const char* kTypeNames[] = {"INDEX_BUILD", "VALIDATE_CONSTRAINT", "ANALYZE", "DROP"};
constexpr const char* kStatusNames[] = {"submitted", "processing", "completed", "failed",
                                        "cancelled"};

template <typename Enum, std::size_t kCount>
Enum value_of(const char* const (&names)[kCount], const char* name) {
  for (std::size_t i = 0; i < kCount; ++i) {
    if (strcmp(names[i], name) == 0) return static_cast<Enum>(i);
  }
  ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("sys.job_log holds \"%s\"", name)));
}

Oid log_oid() {
  const Oid schema = get_namespace_oid("sys", true);
  return OidIsValid(schema) ? get_relname_relid("job_log", schema) : InvalidOid;
}

Relation open_log(LOCKMODE mode) {
  if (!log_exists()) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                    errmsg("no table sys.job_log as this build writes it: the cluster was made by "
                           "an older one")));
  }
  return table_open(log_oid(), mode);
}

Datum column_of(Relation log, HeapTuple row, Column column) {
  bool is_null = false;
  const Datum value = heap_getattr(row, column + 1, RelationGetDescr(log), &is_null);
  return is_null ? Datum{0} : value;
}

Job job_of(Relation log, HeapTuple row) {
  Job job{};
  strlcpy(job.id.text, TextDatumGetCString(column_of(log, row, kId)), sizeof(job.id.text));
  job.type = value_of<JobType>(kTypeNames, TextDatumGetCString(column_of(log, row, kType)));
  job.status = value_of<JobStatus>(kStatusNames, TextDatumGetCString(column_of(log, row, kStatus)));
  job.object = DatumGetObjectId(column_of(log, row, kObject));
  job.other = DatumGetObjectId(column_of(log, row, kOther));
  job.starts = DatumGetInt32(column_of(log, row, kStarts));
  job.start_time = DatumGetTimestampTz(column_of(log, row, kStart));
  return job;
}

TimestampTz update_time_of(Relation log, HeapTuple row) {
  return DatumGetTimestampTz(column_of(log, row, kUpdate));
}

TimestampTz oldest_kept() {
  return GetCurrentTimestamp() - INT64CONST(60000000) * kJobRetentionMinutes;
}

/// Calls `visit` with every row of the log that is committed by now, until it returns false.
template <typename Visit>
void for_each_row(Relation log, Visit visit) {
  Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
  TableScanDesc scan = table_beginscan(log, snapshot, 0, nullptr);
  while (HeapTuple row = heap_getnext(scan, ForwardScanDirection)) {
    if (!visit(row)) break;
  }
  table_endscan(scan);
  UnregisterSnapshot(snapshot);
}

}  // namespace

bool has_ended(JobStatus status) {
  return status != JobStatus::kSubmitted && status != JobStatus::kProcessing;
}

bool is_job_id(const char* text) {
  return strlen(text) == kJobIdLength && strspn(text, kAlphabet) == kJobIdLength;
}

JobId new_job_id() {
  unsigned char bytes[17] = {};
  if (!pg_strong_random(bytes, 16)) {
    ereport(ERROR,
            (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not make a job id: no randomness")));
  }
  JobId id{};
  for (unsigned i = 0; i < kJobIdLength; ++i) {
    const unsigned bit = i * 5;
    const unsigned pair = static_cast<unsigned>(bytes[bit / 8]) << 8U | bytes[bit / 8 + 1];
    id.text[i] = kAlphabet[pair >> (11U - bit % 8) & 31U];
  }
  return id;
}

bool log_exists() {
  const Oid log = log_oid();
  return OidIsValid(log) && get_attnum(log, "starts") == kStarts + 1;
}

void add_job(const Job& job, const char* details) {
  Relation log = open_log(RowExclusiveLock);
  Datum values[kColumnCount] = {};
  bool nulls[kColumnCount] = {};
  values[kId] = CStringGetTextDatum(job.id.text);
  values[kStatus] = CStringGetTextDatum(kStatusNames[static_cast<int>(job.status)]);
  nulls[kDetails] = details == nullptr;
  if (details != nullptr) values[kDetails] = CStringGetTextDatum(details);
  values[kType] = CStringGetTextDatum(kTypeNames[static_cast<int>(job.type)]);
  values[kClass] = ObjectIdGetDatum(RelationRelationId);
  values[kObject] = ObjectIdGetDatum(job.object);
  nulls[kOther] = !OidIsValid(job.other);
  values[kOther] = ObjectIdGetDatum(job.other);
  values[kStarts] = Int32GetDatum(job.starts);
  values[kStart] = TimestampTzGetDatum(job.start_time);
  values[kUpdate] = TimestampTzGetDatum(GetCurrentTimestamp());
  simple_heap_insert(log, heap_form_tuple(RelationGetDescr(log), values, nulls));
  table_close(log, NoLock);
}

void write_job(const Job& job, const char* details) {
  Relation log = open_log(RowExclusiveLock);
  for_each_row(log, [&](HeapTuple row) {
    if (strcmp(TextDatumGetCString(column_of(log, row, kId)), job.id.text) != 0) return true;
    Datum values[kColumnCount] = {};
    bool nulls[kColumnCount] = {};
    bool replaced[kColumnCount] = {};
    replaced[kStatus] = replaced[kDetails] = replaced[kStarts] = replaced[kUpdate] = true;
    values[kStatus] = CStringGetTextDatum(kStatusNames[static_cast<int>(job.status)]);
    nulls[kDetails] = details == nullptr;
    if (details != nullptr) values[kDetails] = CStringGetTextDatum(details);
    values[kStarts] = Int32GetDatum(job.starts);
    values[kUpdate] = TimestampTzGetDatum(GetCurrentTimestamp());
    HeapTuple changed = heap_modify_tuple(row, RelationGetDescr(log), values, nulls, replaced);
    simple_heap_update(log, &row->t_self, changed);
    return false;
  });
  table_close(log, NoLock);
}

void forget_old_jobs() {
  // One at a time; who finds another at it leaves it to him.
  if (!ConditionalLockRelationOid(log_oid(), ShareUpdateExclusiveLock)) return;
  Relation log = open_log(RowExclusiveLock);
  const TimestampTz oldest = oldest_kept();
  for_each_row(log, [&](HeapTuple row) {
    if (update_time_of(log, row) < oldest && has_ended(job_of(log, row).status))
      simple_heap_delete(log, &row->t_self);
    return true;
  });
  table_close(log, NoLock);
}

bool find_job(const char* id, Job* out) {
  bool found = false;
  Relation log = open_log(AccessShareLock);
  for_each_row(log, [&](HeapTuple row) {
    if (strcmp(TextDatumGetCString(column_of(log, row, kId)), id) != 0) return true;
    *out = job_of(log, row);
    found = true;
    return false;
  });
  table_close(log, AccessShareLock);
  return found;
}

bool find_job_of(JobType type, Oid object, Job* out) {
  bool found = false;
  TimestampTz newest = DT_NOBEGIN;
  const TimestampTz oldest = oldest_kept();
  Relation log = open_log(AccessShareLock);
  for_each_row(log, [&](HeapTuple row) {
    const Job job = job_of(log, row);
    const TimestampTz update = update_time_of(log, row);
    const bool is_shown = !has_ended(job.status) || update >= oldest;
    if (job.object != object || job.type != type || update < newest || !is_shown) return true;
    newest = update;
    *out = job;
    found = true;
    return true;
  });
  table_close(log, AccessShareLock);
  return found;
}

void for_each_open_job(bool (*visit)(const Job& job, void* argument), void* argument) {
  // Rows move when they are written, so they are put in order first.
  List* open = NIL;
  Relation log = open_log(AccessShareLock);
  for_each_row(log, [&](HeapTuple row) {
    auto* job = static_cast<Job*>(palloc(sizeof(Job)));
    *job = job_of(log, row);
    if (!has_ended(job->status)) open = lappend(open, job);
    return true;
  });
  table_close(log, AccessShareLock);
  list_sort(open, [](const ListCell* left, const ListCell* right) {
    const auto first = static_cast<const Job*>(lfirst(left))->start_time;
    const auto second = static_cast<const Job*>(lfirst(right))->start_time;
    return first < second ? -1 : static_cast<int>(first > second);
  });
  ListCell* cell;
  foreach (cell, open) {
    if (!visit(*static_cast<const Job*>(lfirst(cell)), argument)) break;
  }
  list_free_deep(open);
}

}  // namespace zorya::query_processor::jobs
