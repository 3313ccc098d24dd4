#include "query_processor/errors.h"

#include "query_processor/commit_stats.h"
#include "query_processor/pg/server.h"

namespace zorya::query_processor {

void raise_conflict() {
  ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                  errmsg("change conflicts with another transaction (OC000)")));
  pg_unreachable();
}

void count_schema_changed() { count_conflict(InvalidOid, ConflictKind::kSchema); }

void raise_schema_changed() {
  count_schema_changed();
  raise_schema_error();
}

void raise_schema_error() {
  ereport(ERROR,
          (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg_internal("%s", kSchemaChangedText)));
  pg_unreachable();
}

void raise_isolation_level(const char* level) {
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("Unsupported isolation level: %s", level)));
  pg_unreachable();
}

void raise_row_limit() {
  ereport(ERROR,
          (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("transaction row limit exceeded")));
  pg_unreachable();
}

void raise_age_limit(long long age_s, int age_s_max) {
  ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                  errmsg("transaction age limit of %ds exceeded", age_s_max),
                  errdetail("Current transaction age %llds exceeds %ds", age_s, age_s_max)));
  pg_unreachable();
}

}  // namespace zorya::query_processor
