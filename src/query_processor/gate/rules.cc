#include "query_processor/gate/rules.h"

extern "C" {
#include "catalog/pg_type_d.h"
#include "utils/errcodes.h"
}

namespace zorya::query_processor::gate {
namespace {

constexpr Source kR = Source::kRecorded;
constexpr Source kD = Source::kDocumented;
constexpr Source kS = Source::kGrammar;
constexpr Source kI = Source::kInferred;
constexpr int kUnsupported = ERRCODE_FEATURE_NOT_SUPPORTED;

// In the order of the enumeration.
constexpr ClauseRule kClauses[] = {
    {"SELECT", "FOR SHARE, FOR NO KEY UPDATE", kUnsupported,
     "locking clauses other than FOR UPDATE/FOR KEY SHARE are not supported", kR},
    {"SELECT", "TABLESAMPLE", kUnsupported, "TABLESAMPLE clause not supported", kR},
    {"MERGE", "MERGE", kUnsupported, "unsupported statement type: MERGE", kR},
    {"CREATE TABLE", "TEMP, TEMPORARY", kUnsupported,
     "TEMPORARY or TEMP table not supported for CREATE TABLE", kR},
    {"CREATE TABLE", "UNLOGGED", kUnsupported, "UNLOGGED table not supported for CREATE TABLE", kR},
    {"CREATE VIEW", "TEMP, TEMPORARY", kUnsupported,
     "TEMPORARY or TEMP view not supported for CREATE VIEW", kS},
    {"CREATE SEQUENCE", "TEMP, TEMPORARY, UNLOGGED", kUnsupported,
     "TEMPORARY or TEMP sequence not supported for CREATE SEQUENCE", kS},
    {"CREATE FUNCTION", "in schema pg_temp; CREATE DOMAIN too", kUnsupported,
     "temporary objects are not supported", kI},
    {"CREATE TABLE", "USING method", kUnsupported, "USING clause not supported for CREATE TABLE",
     kS},
    {"CREATE TABLE", "INHERITS", kUnsupported, "INHERITS clause not supported for CREATE TABLE",
     kS},
    {"CREATE TABLE", "PARTITION BY, PARTITION OF", kUnsupported,
     "PARTITION clause not supported for CREATE TABLE", kS},
    {"CREATE TABLE", "OF type", kUnsupported, "OF clause not supported for CREATE TABLE", kS},
    {"CREATE TABLE", "WITH (storage parameters)", kUnsupported,
     "WITH clause not supported for CREATE TABLE", kS},
    {"CREATE TABLE", "ON COMMIT", kUnsupported, "ON COMMIT clause not supported for CREATE TABLE",
     kS},
    {"CREATE TABLE", "TABLESPACE", kUnsupported, "TABLESPACE clause not supported for CREATE TABLE",
     kS},
    {"CREATE TABLE", "COMPRESSION", kUnsupported, "COMPRESSION clause not supported", kS},
    {"CREATE TABLE", "COLLATE other than \"C\"", kUnsupported, "COLLATE clause not supported", kS},
    {"CREATE TABLE", "LIKE ... INCLUDING STORAGE or COMPRESSION", kUnsupported,
     "LIKE option not supported for CREATE TABLE", kS},
    {"CREATE TABLE", "EXCLUDE", kUnsupported, "EXCLUDE constraint not supported", kI},
    {"CREATE TABLE", "DEFERRABLE on UNIQUE or PRIMARY KEY", kUnsupported,
     "DEFERRABLE is not supported for unique and primary key constraints", kI},
    {"ALTER TABLE", "ADD PRIMARY KEY USING INDEX", kUnsupported,
     "unsupported ALTER TABLE ADD CONSTRAINT statement", kS},
    {"CREATE TABLE", "identity column that is not bigint", kUnsupported,
     "datatype %s not supported, identity column type must be bigint", kR},
    {"CREATE TABLE", "identity column without CACHE 1 or CACHE >= 65536", kUnsupported,
     "identity column is not supported without an explicit cache size. please define CACHE greater "
     "than or equal to 65536 or equal to 1",
     kR},
    {"CREATE SEQUENCE", "without CACHE 1 or CACHE >= 65536", kUnsupported,
     "CREATE SEQUENCE is not supported without an explicit cache size. please define CACHE greater "
     "than or equal to 65536 or equal to 1",
     kR},
    {"CREATE SEQUENCE", "AS other than bigint", kUnsupported,
     "datatype %s not supported, sequence type must be bigint", kI},
    {"ALTER TABLE", "ADD COLUMN with DEFAULT, NOT NULL, CHECK, identity, ...", kUnsupported,
     "ALTER TABLE ADD COLUMN with constraint not supported", kR},
    {"ALTER TABLE",
     "ADD CONSTRAINT: UNIQUE (..), PRIMARY KEY (..), CHECK or FOREIGN KEY without NOT VALID",
     kUnsupported, "unsupported ALTER TABLE ADD CONSTRAINT statement", kR},
    {"ALTER TABLE", "DROP CONSTRAINT of the primary key", kUnsupported,
     "cannot drop primary key constraint %s", kI},
    {"CREATE INDEX", "CONCURRENTLY", kUnsupported, "CONCURRENTLY not supported for CREATE INDEX",
     kR},
    {"CREATE INDEX", "without ASYNC", kUnsupported,
     "unsupported mode. please use CREATE INDEX ASYNC.", kR},
    {"CREATE INDEX", "ASC, DESC", kUnsupported,
     "specifying sort order not supported for index keys", kR},
    {"CREATE INDEX", "operator class", kUnsupported, "opclass not supported for index keys", kR},
    {"CREATE INDEX", "USING method", kUnsupported, "USING clause not supported for CREATE INDEX",
     kS},
    {"CREATE INDEX", "COLLATE", kUnsupported, "COLLATE clause not supported", kS},
    {"CREATE INDEX", "WITH (storage parameters)", kUnsupported,
     "WITH clause not supported for CREATE INDEX", kS},
    {"CREATE INDEX", "TABLESPACE", kUnsupported, "TABLESPACE clause not supported for CREATE INDEX",
     kS},
    {"DROP INDEX", "CONCURRENTLY", kUnsupported, "CONCURRENTLY not supported for DROP INDEX", kI},
    {"CREATE FUNCTION", "CREATE PROCEDURE", kUnsupported, "PROCEDURE is not supported", kD},
    {"CREATE FUNCTION", "WINDOW", kUnsupported, "CREATE FUNCTION with WINDOW not supported", kI},
    {"CREATE VIEW", "WITH (options)", kUnsupported, "WITH clause not supported for CREATE VIEW",
     kI},
    {"DROP TRIGGER", "without IF EXISTS", kUnsupported, "unsupported object in DROP statement", kI},
    {"GRANT",
     "on schema public, on what lies in system schemas; DROP, RENAME, OWNER of schema public",
     kUnsupported, "feature not supported on system entity", kR},
    {"COPY", "FROM or TO a file, or PROGRAM", kUnsupported,
     "COPY with a file or PROGRAM not supported", kS},
    {"COPY", "FREEZE", kUnsupported, "COPY FREEZE not supported", kI},
    {"VACUUM", "VACUUM", kUnsupported, "unsupported VACUUM statement", kR},
    {"SHOW", "lc_collate", ERRCODE_UNDEFINED_OBJECT,
     "unrecognized configuration parameter \"lc_collate\"", kR},
    {"SHOW", "jit, and set_config of it", ERRCODE_UNDEFINED_OBJECT,
     "unrecognized configuration parameter \"jit\"", kI},
    {"ANALYZE", "without a table", kUnsupported, "ANALYZE without a table name not supported", kI},
    {"COMMIT", "AND CHAIN", kUnsupported, "unsupported transaction statement: AND CHAIN", kS},
    {"BEGIN", "[NOT] DEFERRABLE", kUnsupported, "unsupported transaction mode: DEFERRABLE", kS},
    {"SET", "TRANSACTION", kUnsupported,
     "setting configuration parameter \"TRANSACTION\" not supported", kR},
    {"SET", "SESSION CHARACTERISTICS other than ISOLATION LEVEL REPEATABLE READ", kUnsupported,
     "setting configuration parameter \"SESSION CHARACTERISTICS\" not supported", kI},
    {"transaction", "two schema changes", kUnsupported,
     "multiple ddl statements not supported in a transaction", kR},
    {"transaction", "schema change and data change", kUnsupported,
     "ddl and dml are not supported in the same transaction", kR},
    {"transaction", "schema change inside a function", kUnsupported,
     "ddl is not supported in a function", kI},
    {"DEALLOCATE", "name", kUnsupported, "unsupported statement: Deallocate", kS},
    {"CALL", "sys.wait_for_job inside a transaction block", ERRCODE_ACTIVE_SQL_TRANSACTION,
     "sys.wait_for_job cannot run inside a transaction block", kI},
    {"ANALYZE", "inside a transaction block", ERRCODE_ACTIVE_SQL_TRANSACTION,
     "ANALYZE cannot run inside a transaction block", kD},
    {"ALTER DOMAIN", "SET NOT NULL, ADD CONSTRAINT, VALIDATE CONSTRAINT", kUnsupported,
     "unsupported ALTER DOMAIN statement", kS},
};
static_assert(std::size(kClauses) == static_cast<std::size_t>(Clause::kCount));

constexpr TypeRule kTypes[] = {
    {INT2OID, "smallint", true},
    {INT4OID, "integer", true},
    {INT8OID, "bigint", true},
    {FLOAT4OID, "real", true},
    {FLOAT8OID, "double precision", true},
    {NUMERICOID, "numeric (numeric alone is numeric(18,6))", true},
    {BPCHAROID, "char(n) up to 4096, bpchar", true},
    {VARCHAROID, "varchar(n) up to 65535", true},
    {TEXTOID, "text", true},
    {DATEOID, "date", true},
    {TIMEOID, "time", true},
    {TIMESTAMPOID, "timestamp", true},
    {TIMESTAMPTZOID, "timestamptz", true},
    {TIMETZOID, "timetz", false},
    {INTERVALOID, "interval", false},
    {BOOLOID, "boolean", true},
    {UUIDOID, "uuid", true},
    {BYTEAOID, "bytea", false},
    {JSONOID, "json", false},
    {JSONBOID, "jsonb", false},
};

constexpr ObjectRule kObjects[] = {
    {OBJECT_TABLE, "TABLE", kDrop | kRename | kComment | kGrant | kSetSchema | kDefaultPrivileges},
    {OBJECT_COLUMN, "COLUMN", kRename | kComment},
    {OBJECT_TABCONSTRAINT, "CONSTRAINT", kRename | kComment},
    {OBJECT_VIEW, "VIEW", kDrop | kRename | kComment | kSetSchema},
    {OBJECT_INDEX, "INDEX", kDrop | kRename | kComment},
    {OBJECT_SEQUENCE, "SEQUENCE",
     kDrop | kRename | kComment | kGrant | kSetSchema | kDefaultPrivileges},
    {OBJECT_SCHEMA, "SCHEMA", kDrop | kRename | kComment | kGrant | kOwner},
    {OBJECT_DOMAIN, "DOMAIN", kDrop | kOwner | kSetSchema},
    {OBJECT_FUNCTION, "FUNCTION",
     kDrop | kRename | kComment | kGrant | kOwner | kSetSchema | kDefaultPrivileges},
    {OBJECT_ROUTINE, "ROUTINE", kDrop | kRename | kComment | kGrant | kOwner | kSetSchema},
    {OBJECT_STATISTIC_EXT, "STATISTICS", kDrop | kRename | kOwner | kSetSchema},
    {OBJECT_TYPE, "TYPE", kDefaultPrivileges},
    {OBJECT_TRIGGER, "TRIGGER IF EXISTS", kDrop},
};

}  // namespace

std::span<const ObjectRule> object_rules() { return kObjects; }
std::span<const TypeRule> type_rules() { return kTypes; }
const ClauseRule& clause_rule(Clause clause) { return kClauses[static_cast<std::size_t>(clause)]; }

bool takes(Verb verb, ObjectType type) {
  for (const ObjectRule& rule : kObjects) {
    if (rule.type == type) return (rule.verbs & verb) != 0;
  }
  return false;
}

void refuse(Clause clause) {
  const ClauseRule& rule = clause_rule(clause);
  ereport(ERROR, (errcode(rule.sqlstate), errmsg_internal("%s", rule.text)));
}

void refuse_text(const char* message) {
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg_internal("%s", message)));
}

}  // namespace zorya::query_processor::gate
