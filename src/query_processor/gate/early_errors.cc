#include "query_processor/gate/early_errors.h"

#include "query_processor/catalogue.h"
#include "query_processor/errors.h"
#include "query_processor/gate/ddl.h"
#include "query_processor/gate/gate.h"
#include "query_processor/gate/router_notices.h"
#include "query_processor/gate/router_word.h"
#include "query_processor/gate/rules.h"
#include "query_processor/shared_state.h"

extern "C" {
#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "tcop/tcopprot.h"
#include "utils/errcodes.h"
#include "utils/memutils.h"
}

namespace zorya::query_processor::gate {
namespace {

/// What parse analysis and rewriting say of names that the catalogue does not have, or not for this
/// role, and of what they stand for.
bool is_of_the_catalogue(int sqlstate) {
  switch (sqlstate) {
    case ERRCODE_UNDEFINED_TABLE:
    case ERRCODE_UNDEFINED_COLUMN:
    case ERRCODE_UNDEFINED_FUNCTION:
    case ERRCODE_UNDEFINED_OBJECT:
    case ERRCODE_UNDEFINED_SCHEMA:
    case ERRCODE_DATATYPE_MISMATCH:
    case ERRCODE_INSUFFICIENT_PRIVILEGE:
    case ERRCODE_AMBIGUOUS_COLUMN:
    case ERRCODE_AMBIGUOUS_FUNCTION:
    case ERRCODE_GENERATED_ALWAYS:
    case ERRCODE_INVALID_COLUMN_REFERENCE:
    case ERRCODE_WRONG_OBJECT_TYPE:
      return true;
    default:
      return false;
  }
}

/// The session router says OC001 for these: a wait for a lock that ended, and work that it ended by
/// a cancel.
bool is_told_by_router(int sqlstate) {
  return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED ||
         sqlstate == ERRCODE_QUERY_CANCELED;
}

bool ends_restoring(int sqlstate) {
  return sqlstate == ERRCODE_SYNTAX_ERROR && said_by_router(debug_query_string) == kRestored;
}

bool changes_data(Node* statement) {
  switch (nodeTag(statement)) {
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
      return true;
    case T_CopyStmt:
      return castNode(CopyStmt, statement)->is_from;
    case T_SelectStmt: {
      const WithClause* with = castNode(SelectStmt, statement)->withClause;
      ListCell* cell;
      foreach (cell, with != nullptr ? with->ctes : NIL) {
        if (changes_data(lfirst_node(CommonTableExpr, cell)->ctequery)) return true;
      }
      return false;
    }
    default:
      return false;
  }
}

/// Where in `text` the character at `position` begins, which is counted from 1.
int offset_of(const char* text, int position) {
  int offset = 0;
  for (int i = 1; i < position && text[offset] != '\0'; ++i) offset += pg_mblen(text + offset);
  return offset;
}

/// True if the statement that fails at `position` of the message changes data. The message was
/// parsed before, so parsing raises nothing.
bool fails_in_data_change(int position) {
  if (debug_query_string == nullptr) return false;
  const int offset = offset_of(debug_query_string, position);
  const RawStmt* failing = nullptr;
  ListCell* cell;
  foreach (cell, raw_parser(debug_query_string, RAW_PARSE_DEFAULT)) {
    const auto* statement = lfirst_node(RawStmt, cell);
    if (failing == nullptr || statement->stmt_location <= offset) failing = statement;
  }
  return failing != nullptr && changes_data(failing->stmt);
}

/// In a block the table of a trial is not there; a data change that names it is refused as one.
bool is_refused_beside_ddl(int position) {
  if (!has_noted_ddl() || in_ddl()) return false;
  MemoryContext outside = MemoryContextSwitchTo(MessageContext);
  const bool refused = fails_in_data_change(position);
  MemoryContextSwitchTo(outside);
  return refused;
}

/// The error that is being raised, in the message's memory; null if it is none, but a notice.
const ErrorData* current_error() {
  MemoryContext outside = MemoryContextSwitchTo(MessageContext);
  const ErrorData* error = CopyErrorData();
  MemoryContextSwitchTo(outside);
  return error->elevel == ERROR ? error : nullptr;
}

/// The columns are not what they were when the statement was prepared, or written: by their words,
/// for the codes say much else.
bool is_of_changed_columns(const ErrorData* error) {
  const char* message = error->message;
  return message != nullptr &&
         (strcmp(message, "cached plan must not change result type") == 0 ||
          strcmp(message, "INSERT has more expressions than target columns") == 0);
}

bool may_be_of_changed_columns(int sqlstate) {
  return sqlstate == ERRCODE_FEATURE_NOT_SUPPORTED || sqlstate == ERRCODE_SYNTAX_ERROR;
}

/// What the error did, if the session router made it: by its query, or as the end of a COPY.
std::optional<Wound> wound_by_router(int sqlstate) {
  const bool is_query = sqlstate == ERRCODE_SYNTAX_ERROR;
  if (!is_query && sqlstate != ERRCODE_QUERY_CANCELED) return std::nullopt;
  const ErrorData* error = is_query ? nullptr : current_error();
  const auto reason = said_by_router(is_query           ? debug_query_string
                                     : error != nullptr ? error->message
                                                        : nullptr);
  if (reason == kForAge) return Wound::kAged;
  if (reason != kForSchemaChange) return std::nullopt;
  return is_query ? Wound::kRolledBack : Wound::kCopyFailed;
}

void say_instead(int sqlstate, const char* message) {
  errcode(sqlstate);
  errmsg_internal("%s", message);
  errposition(0);
}

/// PostgreSQL hints at a setting that no client can change.
void say_what_helps_depth() {
  errhint(
      "Nest less deeply: expressions, subqueries, JSON values, functions that call each other. A "
      "long chain of one operator, or of UNION, is nested too.");
}

/// PostgreSQL names a literal's type as it came; the service was recorded with the declared one.
void name_declared_type() {
  const ErrorData* error = current_error();
  if (error == nullptr || error->message == nullptr) return;
  if (strcmp(error->message, "sys.wait_for_job(unknown) is a procedure") == 0)
    errmsg_internal("sys.wait_for_job(text) is a procedure");
}

void look_at_error(void* /*argument*/) {
  const int sqlstate = geterrcode();
  if (sqlstate == ERRCODE_STATEMENT_TOO_COMPLEX) return say_what_helps_depth();
  if (sqlstate == ERRCODE_WRONG_OBJECT_TYPE) name_declared_type();
  if (sqlstate == ERRCODE_LOCK_NOT_AVAILABLE) ++counters().waits_at_bound;
  if (ends_restoring(sqlstate)) return take_over_session(catalogue_seen_before());
  const auto wound = wound_by_router(sqlstate);
  if (wound) ++wounds(*wound);
  if (wound == Wound::kAged) return;  // that says nothing of the catalogue
  if (wound || is_told_by_router(sqlstate)) return note_told_of_change();
  const bool may_be_columns = may_be_of_changed_columns(sqlstate);
  if (!is_of_the_catalogue(sqlstate) && !may_be_columns) return;
  const ErrorData* error = current_error();
  if (error == nullptr || (may_be_columns && !is_of_changed_columns(error))) return;
  if (is_refused_beside_ddl(error->cursorpos)) {
    const ClauseRule& rule = clause_rule(Clause::kDdlAndDml);
    return say_instead(rule.sqlstate, rule.text);
  }
  if (!is_error_of_stale_catalogue()) return;
  count_schema_changed();
  say_instead(ERRCODE_T_R_SERIALIZATION_FAILURE, kSchemaChangedText);
}

ErrorContextCallback watch = {nullptr, look_at_error, nullptr};

void watch_again() {
  if (error_context_stack == &watch || !binds_session()) return;
  ErrorContextCallback** end = &error_context_stack;
  while (*end != nullptr && *end != &watch) end = &(*end)->previous;
  *end = &watch;
}

void watch_after_cleanup(void* argument);

MemoryContextCallback at_cleanup = {watch_after_cleanup, nullptr, nullptr};
bool waits_for_cleanup = false;

void watch_after_cleanup(void* /*argument*/) {
  waits_for_cleanup = false;
  watch_again();
}

void at_end(XactEvent event, void* /*argument*/) {
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT) return;
  watch_again();
  // A failed block goes on to its ROLLBACK, with more errors on the way and no event at the end.
  if (event != XACT_EVENT_ABORT || waits_for_cleanup) return;
  waits_for_cleanup = true;
  MemoryContextRegisterResetCallback(TopTransactionContext, &at_cleanup);
}

}  // namespace

void watch_early_errors() { RegisterXactCallback(at_end, nullptr); }

}  // namespace zorya::query_processor::gate
