#include "query_processor/gate/gate.h"

#include "query_processor/catalogue.h"
#include "query_processor/gate/checks.h"
#include "query_processor/gate/ddl.h"
#include "query_processor/gate/early_errors.h"
#include "query_processor/gate/router_notices.h"
#include "query_processor/gate/row_size.h"
#include "query_processor/gate/schema_change.h"
#include "query_processor/gate/touched.h"
#include "query_processor/gate/trial.h"
#include "query_processor/gate/version.h"
#include "query_processor/jobs/submit.h"
#include "query_processor/jobs/worker.h"
#include "query_processor/session.h"

extern "C" {
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "parser/analyze.h"
#include "tcop/utility.h"
#include "utils/errcodes.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
}

namespace zorya::query_processor::gate {
namespace {

post_parse_analyze_hook_type next_analyze = nullptr;
ExecutorStart_hook_type next_executor_start = nullptr;
object_access_hook_type next_object_access = nullptr;

/// Off only at a start for tests of what lies behind the gate (cursors, savepoints); no session can
/// change it.
bool gate_is_on = true;
/// Accepted because clients set it; the join that it switches does not exist here.
bool batched_nestloop = true;

void on_object_access(ObjectAccessType access, Oid class_id, Oid object, int sub_id,
                      void* argument) {
  if (next_object_access != nullptr) next_object_access(access, class_id, object, sub_id, argument);
  if (access == OAT_DROP && class_id == RelationRelationId && sub_id == 0 && in_ddl() &&
      get_rel_relkind(object) == RELKIND_RELATION) {
    jobs::note_dropped(object);
  }
}

const StatementRule* rule_of(const Node* node) {
  for (const StatementRule& rule : statement_rules()) {
    if (rule.tag == nodeTag(node)) return &rule;
  }
  return nullptr;
}

[[noreturn]] void refuse_statement(const StatementRule* rule, Node* node,
                                   const StatementContext& context) {
  if (rule == nullptr) refuse_text(psprintf("unsupported statement: %s", CreateCommandName(node)));
  if (rule->check != nullptr) rule->check(node, context);
  refuse_text(rule->text != nullptr ? rule->text
                                    : psprintf("unsupported statement: %s", rule->node));
}

void refuse_in_failed_transaction() {
  if (!IsAbortedTransactionBlockState()) return;
  ereport(
      ERROR,
      (errcode(ERRCODE_IN_FAILED_SQL_TRANSACTION),
       errmsg("current transaction is aborted, commands ignored until end of transaction block")));
}

bool ends_transaction(Node* node) {
  if (!IsA(node, TransactionStmt)) return false;
  const TransactionStmtKind kind = castNode(TransactionStmt, node)->kind;
  return kind == TRANS_STMT_COMMIT || kind == TRANS_STMT_ROLLBACK;
}

/// What COMMIT does before PostgreSQL knows of it, while the block still takes subtransactions. The
/// error that it raised, if one.
ErrorData* prepare_commit() {
  if (IsAbortedTransactionBlockState()) return nullptr;  // a ROLLBACK by another name
  MemoryContext context = CurrentMemoryContext;
  ErrorData* volatile error = nullptr;
  PG_TRY();
  {
    check_catalogue_at_commit();
    run_again_at_commit();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    error = CopyErrorData();
    FlushErrorState();
  }
  PG_END_TRY();
  return error;
}

void run_transaction_statement(const UtilityCall& call) {
  const bool commits =
      castNode(TransactionStmt, call.planned->utilityStmt)->kind == TRANS_STMT_COMMIT;
  ErrorData* error = commits ? prepare_commit() : nullptr;
  pass_on(call);
  // From here on an error ends the block, and cleans up behind the one before.
  if (error != nullptr) ReThrowError(error);
}

/// Utility statements that use what the catalogue says.
void check_catalogue_of_utility(Node* node) {
  switch (nodeTag(node)) {
    case T_ExplainStmt:
      return expect_query_of_utility();
    case T_CopyStmt:
      if (castNode(CopyStmt, node)->query != nullptr) return expect_query_of_utility();
      return check_catalogue_for(touched_relations(node));
    case T_VacuumStmt:
    case T_CallStmt:
      return check_catalogue_for(touched_relations(node));
    default:
      return;
  }
}

void run_client_utility(UtilityCall call) {
  const bool is_top_level = call.context == PROCESS_UTILITY_TOPLEVEL;
  const StatementRule* rule = rule_of(call.planned->utilityStmt);
  if (!ends_transaction(call.planned->utilityStmt)) refuse_in_failed_transaction();
  const bool is_ddl = rule != nullptr && rule->answer == Answer::kTakenDdl;
  if (is_ddl) {
    // Checks complete the statement; a cached plan must stay as it is.
    call.planned = static_cast<PlannedStmt*>(copyObjectImpl(call.planned));
    call.read_only_tree = false;
  }
  Node* node = call.planned->utilityStmt;
  const StatementContext context{call.query, call.planned->stmt_location, call.planned->stmt_len,
                                 is_top_level};
  if (!is_ddl && (rule == nullptr || rule->answer != Answer::kTaken))
    refuse_statement(rule, node, context);
  if (rule->check != nullptr) rule->check(node, context);
  if (!is_ddl) {
    if (IsA(node, CopyStmt) && castNode(CopyStmt, node)->is_from) note_dml();
    check_catalogue_of_utility(node);
    return IsA(node, TransactionStmt) ? run_transaction_statement(call)
                                      : run_guarded(pass_on_boxed, &call);
  }
  if (!is_top_level) refuse(Clause::kDdlInFunction);
  note_ddl();
  check_catalogue_for(touched_relations(node));
  if (is_in_explicit_block()) return run_trial(call, rule->check);
  run_schema_change(call);
}

/// A job evaluates expressions of users, out of reach of the rules of their sessions.
[[noreturn]] void refuse_in_job() {
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("a function that a job evaluates can only read")));
}

void on_utility(PlannedStmt* planned, const char* query, bool read_only_tree,
                ProcessUtilityContext context, ParamListInfo parameters,
                QueryEnvironment* environment, DestReceiver* destination,
                QueryCompletion* completion) {
  const UtilityCall call{planned,    query,       read_only_tree, context,
                         parameters, environment, destination,    completion};
  if (jobs::is_worker() && context != PROCESS_UTILITY_TOPLEVEL &&
      context != PROCESS_UTILITY_SUBCOMMAND) {
    refuse_in_job();
  }
  // What a schema change runs below itself is PostgreSQL's own, made of a statement that was looked
  // at.
  if (!binds_session() || context == PROCESS_UTILITY_SUBCOMMAND) return pass_on(call);
  run_client_utility(call);
}

void on_analyze(ParseState* state, Query* query, JumbleState* jumble) {
  if (next_analyze != nullptr) next_analyze(state, query, jumble);
  if (binds_session()) check_query(query);
}

void on_executor_start(QueryDesc* query, int flags) {
  const bool changes_data =
      (query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE) &&
      (flags & EXEC_FLAG_EXPLAIN_ONLY) == 0;
  if (changes_data && binds_session() && !in_ddl()) note_dml();
  if (changes_data && jobs::is_worker()) refuse_in_job();
  if (next_executor_start != nullptr) {
    next_executor_start(query, flags);
  } else {
    standard_ExecutorStart(query, flags);
  }
}

void define_settings() {
  define_limit_settings();
  DefineCustomBoolVariable("zorya.gate", "Refuses what the service refuses.", nullptr, &gate_is_on,
                           true, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
  DefineCustomBoolVariable("dsql.enable_batched_nestloop", "Accepted, without effect.", nullptr,
                           &batched_nestloop, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

}  // namespace

bool binds_session() { return gate_is_on && is_client_session(); }

void install() {
  define_settings();
  report_service_version();
  install_transaction_notes();
  watch_early_errors();
  prefer_lz4();
  install_transaction_size();
  install_router_notices();
  set_next_utility(ProcessUtility_hook);
  ProcessUtility_hook = on_utility;
  next_analyze = post_parse_analyze_hook;
  post_parse_analyze_hook = on_analyze;
  next_executor_start = ExecutorStart_hook;
  ExecutorStart_hook = on_executor_start;
  next_object_access = object_access_hook;
  object_access_hook = on_object_access;
}

}  // namespace zorya::query_processor::gate
