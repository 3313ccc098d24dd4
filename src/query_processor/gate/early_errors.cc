#include "query_processor/gate/early_errors.h"

#include "query_processor/gate/ddl.h"
#include "query_processor/gate/gate.h"
#include "query_processor/gate/rules.h"

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

/// What parse analysis says of names that the catalogue does not have, or not for this role.
bool is_of_the_catalogue(int sqlstate) {
  switch (sqlstate) {
    case ERRCODE_UNDEFINED_TABLE:
    case ERRCODE_UNDEFINED_COLUMN:
    case ERRCODE_UNDEFINED_FUNCTION:
    case ERRCODE_UNDEFINED_OBJECT:
    case ERRCODE_UNDEFINED_SCHEMA:
    case ERRCODE_DATATYPE_MISMATCH:
    case ERRCODE_INSUFFICIENT_PRIVILEGE:
      return true;
    default:
      return false;
  }
}

bool changes_data(const Node* statement) {
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

/// The position of the error that is being raised; -1 if it is none, but a notice.
int position_of_error() {
  MemoryContext outside = MemoryContextSwitchTo(MessageContext);
  ErrorData* error = CopyErrorData();
  const int position = error->elevel == ERROR ? error->cursorpos : -1;
  FreeErrorData(error);
  MemoryContextSwitchTo(outside);
  return position;
}

void say_instead(int sqlstate, const char* message) {
  errcode(sqlstate);
  errmsg_internal("%s", message);
  errposition(0);
}

void look_at_error(void* /*argument*/) {
  if (!is_of_the_catalogue(geterrcode())) return;
  const int position = position_of_error();
  if (position < 0) return;
  if (is_refused_beside_ddl(position)) {
    const ClauseRule& rule = clause_rule(Clause::kDdlAndDml);
    say_instead(rule.sqlstate, rule.text);
  }
}

ErrorContextCallback watch = {nullptr, look_at_error, nullptr};

void watch_again(void* /*argument*/) {
  if (!binds_session()) return;
  ErrorContextCallback** end = &error_context_stack;
  while (*end != nullptr && *end != &watch) end = &(*end)->previous;
  *end = &watch;
}

MemoryContextCallback at_cleanup = {watch_again, nullptr, nullptr};

void at_end(XactEvent event, void* /*argument*/) {
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT) return;
  watch_again(nullptr);
  // A failed block goes on to its ROLLBACK, with more errors on the way and no event at the end.
  if (event == XACT_EVENT_ABORT)
    MemoryContextRegisterResetCallback(TopTransactionContext, &at_cleanup);
}

}  // namespace

void watch_early_errors() { RegisterXactCallback(at_end, nullptr); }

}  // namespace zorya::query_processor::gate
