// Schema zorya: made by a worker when the server is started for tests, removed when it is not, and
// its functions.
#include "query_processor/forced_rules.h"

extern "C" {
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid_d.h"
#include "catalog/pg_namespace.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
}

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace zorya::query_processor::forced {
namespace {

/// In the data folder as long as the schema may be there; not empty once it is.
constexpr const char* kMarkerFile = "zorya_forced_outcomes";

constexpr const char* kMakeSchema = R"sql(
CREATE SCHEMA IF NOT EXISTS zorya;
COMMENT ON SCHEMA zorya IS 'Outcomes that tests force. Only here because the server was started for it.';
CREATE OR REPLACE FUNCTION zorya.fail_commits(outcome text, of_table regclass DEFAULT NULL, commits integer DEFAULT 1)
  RETURNS bigint LANGUAGE C VOLATILE AS 'zorya_query_processor', 'zorya_fail_commits';
CREATE OR REPLACE FUNCTION zorya.drop_connections(at_point text, of_table regclass DEFAULT NULL,
                                                  commits integer DEFAULT 1)
  RETURNS bigint LANGUAGE C VOLATILE AS 'zorya_query_processor', 'zorya_drop_connections';
CREATE OR REPLACE FUNCTION zorya.fail_statements(of_table regclass DEFAULT NULL, statements integer DEFAULT 1)
  RETURNS bigint LANGUAGE C VOLATILE AS 'zorya_query_processor', 'zorya_fail_statements';
CREATE OR REPLACE FUNCTION zorya.age_transaction(seconds integer)
  RETURNS void LANGUAGE C VOLATILE STRICT AS 'zorya_query_processor', 'zorya_age_transaction';
CREATE OR REPLACE FUNCTION zorya.forced_outcomes(OUT id bigint, OUT outcome text, OUT at_point text,
                                                 OUT of_table regclass, OUT asked integer, OUT fired integer)
  RETURNS SETOF record LANGUAGE C VOLATILE AS 'zorya_query_processor', 'zorya_forced_outcomes';
CREATE OR REPLACE FUNCTION zorya.reset_forced_outcomes()
  RETURNS integer LANGUAGE C VOLATILE AS 'zorya_query_processor', 'zorya_reset_forced_outcomes';
GRANT USAGE ON SCHEMA zorya TO PUBLIC;
)sql";

struct NamedOutcome {
  const char* name;
  Outcome outcome;
};
constexpr NamedOutcome kOutcomes[] = {{"OC000", Outcome::kConflict},
                                      {"OC001", Outcome::kSchemaChanged},
                                      {"too_old", Outcome::kTooOld},
                                      {"dropped", Outcome::kDropped},
                                      {"aged", Outcome::kAged}};
constexpr const char* kPoints[] = {"before_verdict", "after_verdict", "after_apply", "after_flush",
                                   "statement"};
static_assert(std::size(kPoints) == static_cast<std::size_t>(CommitPoint::kCount));

/// Nobody's own schema of that name is touched.
bool is_schema_of_another(Oid schema) {
  HeapTuple row = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
  if (!HeapTupleIsValid(row)) return false;
  const Oid owner = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(row))->nspowner;
  ReleaseSysCache(row);
  return owner != BOOTSTRAP_SUPERUSERID;
}

void run_sql(const char* sql) {
  StartTransactionCommand();
  PushActiveSnapshot(GetTransactionSnapshot());
  SPI_connect();
  const Oid schema = get_namespace_oid("zorya", true);
  if (OidIsValid(schema) && is_schema_of_another(schema)) {
    ereport(WARNING, (errmsg("schema zorya belongs to a user: outcomes cannot be forced by SQL")));
  } else if (SPI_execute(sql, false, 0) < 0) {
    ereport(ERROR, (errmsg("cannot change schema zorya")));
  }
  SPI_finish();
  PopActiveSnapshot();
  CommitTransactionCommand();
}

void put_marker(std::string_view content) {
  const int file = ::open(kMarkerFile, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t written = ::write(file, content.data(), content.size());
  (void)::close(file);
}

bool has_marker() { return ::access(kMarkerFile, F_OK) == 0; }

/// Every function begins so: what an earlier start made may not be removed yet.
void refuse_unless_on() {
  if (forced_outcomes_on) return;
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("outcomes cannot be forced: the server was not started for it"),
                  errhint("zorya up --forced-outcomes")));
}

const char* text_argument(FunctionCallInfo fcinfo, int number, const char* name) {
  if (PG_ARGISNULL(number)) {
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name)));
  }
  return text_to_cstring(PG_GETARG_TEXT_PP(number));
}

Outcome outcome_named(const char* name) {
  for (const NamedOutcome& known : kOutcomes) {
    const bool may_be_asked = known.outcome < Outcome::kDropped;
    if (may_be_asked && strcmp(known.name, name) == 0) return known.outcome;
  }
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("no outcome \"%s\"", name),
                  errhint("OC000, OC001 or too_old")));
  pg_unreachable();
}

CommitPoint point_named(const char* name) {
  for (std::size_t i = 0; i < std::size(kPoints); ++i) {
    if (strcmp(kPoints[i], name) == 0) return static_cast<CommitPoint>(i);
  }
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("no point of a commit \"%s\"", name),
           errhint("statement, before_verdict, after_verdict, after_apply or after_flush")));
  pg_unreachable();
}

/// With the table and the count of the argument `table_argument` and the one after it.
Datum add(FunctionCallInfo fcinfo, int table_argument, Rule rule) {
  const int count_argument = table_argument + 1;
  rule.relation = PG_ARGISNULL(table_argument) ? InvalidOid : PG_GETARG_OID(table_argument);
  rule.asked = PG_ARGISNULL(count_argument) ? 1 : PG_GETARG_INT32(count_argument);
  if (rule.asked < 1) {
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the count must be 1 or more")));
  }
  const std::int64_t id = add_rule(rule);
  if (id == 0) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                    errmsg("more than %zu forced outcomes are not kept", kRulesMax),
                    errhint("zorya.reset_forced_outcomes() forgets them")));
  }
  PG_RETURN_INT64(id);
}

void put_rule(const ReturnSetInfo* result, const Rule& rule) {
  const auto* const named =
      std::find_if(std::begin(kOutcomes), std::end(kOutcomes),
                   [&](const NamedOutcome& known) { return known.outcome == rule.outcome; });
  Datum values[] = {Int64GetDatum(rule.id),
                    CStringGetTextDatum(named->name),
                    CStringGetTextDatum(kPoints[static_cast<std::size_t>(rule.point)]),
                    ObjectIdGetDatum(rule.relation),
                    Int32GetDatum(rule.asked),
                    Int32GetDatum(rule.fired)};
  bool nulls[] = {false, false, rule.outcome == Outcome::kAged, !OidIsValid(rule.relation),
                  false, false};
  tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace

bool is_schema_made() {
  struct stat info {};
  return ::stat(kMarkerFile, &info) == 0 && info.st_size > 0;
}

void install_schema_worker() {
  if (!forced_outcomes_on && !has_marker()) return;
  BackgroundWorker worker{};
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time =
      1;  // seconds, if it fails; once it has ended in order it is done for good
  strlcpy(worker.bgw_name, "zorya forced outcomes", sizeof worker.bgw_name);
  strlcpy(worker.bgw_type, "zorya forced outcomes", sizeof worker.bgw_type);
  strlcpy(worker.bgw_library_name, "zorya_query_processor", sizeof worker.bgw_library_name);
  strlcpy(worker.bgw_function_name, "zorya_forced_outcomes_main", sizeof worker.bgw_function_name);
  RegisterBackgroundWorker(&worker);
}

}  // namespace zorya::query_processor::forced

namespace forced = zorya::query_processor::forced;

extern "C" {
__attribute__((visibility("default"))) void zorya_forced_outcomes_main(Datum argument);
}

/// Whatever happens to it, clients are let in after it.
void zorya_forced_outcomes_main(Datum /*argument*/) {
  namespace qp = zorya::query_processor;
  if (qp::forced_outcomes_on) before_shmem_exit([](int, Datum) { forced::mark_schema_done(); }, 0);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnection("postgres", nullptr, 0);
  if (qp::forced_outcomes_on) {
    forced::put_marker("");
    forced::run_sql(forced::kMakeSchema);
    forced::put_marker("made\n");
  } else {
    forced::run_sql("DROP SCHEMA IF EXISTS zorya CASCADE");
    (void)::unlink(forced::kMarkerFile);
  }
}

/// The next commits that touch the table (null: any) end in OC000, OC001 or as too old.
ZORYA_SQL_FUNCTION(zorya_fail_commits) {
  forced::refuse_unless_on();
  return forced::add(
      fcinfo, 1, {.outcome = forced::outcome_named(forced::text_argument(fcinfo, 0, "outcome"))});
}

/// The next commits that touch the table (null: any) lose their connection at the point.
ZORYA_SQL_FUNCTION(zorya_drop_connections) {
  forced::refuse_unless_on();
  return forced::add(fcinfo, 1,
                     {.outcome = forced::Outcome::kDropped,
                      .point = forced::point_named(forced::text_argument(fcinfo, 0, "at_point"))});
}

/// The next statements that read or write the table (null: any) end in OC001, as after a schema
/// change.
ZORYA_SQL_FUNCTION(zorya_fail_statements) {
  forced::refuse_unless_on();
  return forced::add(fcinfo, 0,
                     {.outcome = forced::Outcome::kSchemaChanged,
                      .point = zorya::query_processor::CommitPoint::kStatement});
}

/// Makes the transaction that calls it older.
ZORYA_SQL_FUNCTION(zorya_age_transaction) {
  forced::refuse_unless_on();
  const int seconds = PG_GETARG_INT32(0);
  if (!IsTransactionBlock()) {
    ereport(ERROR, (errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
                    errmsg("zorya.age_transaction can only be used in transaction blocks")));
  }
  if (seconds < 0 || seconds > 86400) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("seconds must be between 0 and 86400")));
  }
  zorya::query_processor::forced_age_s += seconds;
  forced::count_aged();
  PG_RETURN_VOID();
}

ZORYA_SQL_FUNCTION(zorya_forced_outcomes) {
  forced::refuse_unless_on();
  InitMaterializedSRF(fcinfo, 0);
  const auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  std::array<forced::Rule, forced::kRulesMax> rules;
  const std::size_t count = forced::copy_rules(&rules);
  for (std::size_t i = 0; i < count; ++i) forced::put_rule(result, rules[i]);
  return Datum{0};
}

ZORYA_SQL_FUNCTION(zorya_reset_forced_outcomes) {
  forced::refuse_unless_on();
  PG_RETURN_INT32(static_cast<int>(forced::remove_rules()));
}
