#include "query_processor/gate/gate.h"

#include "query_processor/gate/checks.h"
#include "query_processor/gate/ddl.h"
#include "query_processor/gate/invalid_index.h"
#include "query_processor/gate/jobs.h"
#include "query_processor/gate/version.h"
#include "query_processor/session.h"

extern "C" {
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "storage/lock.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/errcodes.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
}

namespace zorya::query_processor::gate {
namespace {

ProcessUtility_hook_type next_utility = nullptr;
post_parse_analyze_hook_type next_analyze = nullptr;
ExecutorStart_hook_type next_executor_start = nullptr;
object_access_hook_type next_object_access = nullptr;

/// Off only at a start for tests of what lies behind the gate (cursors, savepoints); no session can
/// change it.
bool gate_is_on = true;
/// Accepted because clients set it; the join that it switches does not exist here.
bool batched_nestloop = true;

bool binds() { return gate_is_on && is_client_session(); }

/// The arguments of ProcessUtility, so that it can be passed on from inside a guarded call.
struct UtilityCall {
  PlannedStmt* planned;
  const char* query;
  bool read_only_tree;
  ProcessUtilityContext context;
  ParamListInfo parameters;
  QueryEnvironment* environment;
  DestReceiver* destination;
  QueryCompletion* completion;
};

void pass_on(const UtilityCall& call) {
  const auto next = next_utility != nullptr ? next_utility : standard_ProcessUtility;
  next(call.planned, call.query, call.read_only_tree, call.context, call.parameters,
       call.environment, call.destination, call.completion);
}

void pass_on_boxed(void* call) { pass_on(*static_cast<UtilityCall*>(call)); }

/// The relation that the running schema change made last: the index, of CREATE INDEX.
Oid created_relation = InvalidOid;

void on_object_access(ObjectAccessType access, Oid class_id, Oid object, int sub_id,
                      void* argument) {
  if (next_object_access != nullptr) next_object_access(access, class_id, object, sub_id, argument);
  if (access == OAT_POST_CREATE && class_id == RelationRelationId && sub_id == 0 && in_ddl()) {
    created_relation = object;
  }
}

/// Passes `call` on in a subtransaction. Null, or why the rows that are there do not fit, which
/// fails a job and not the statement; every other error is raised.
const char* run_job(const UtilityCall& call) {
  MemoryContext context = CurrentMemoryContext;
  ResourceOwner owner = CurrentResourceOwner;
  const char* volatile failure = nullptr;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(context);
  PG_TRY();
  {
    pass_on(call);
    ReleaseCurrentSubTransaction();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    ErrorData* error = CopyErrorData();
    const bool rows_do_not_fit =
        ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION &&
        (error->schema_name == nullptr || strcmp(error->schema_name, "pg_catalog") != 0);
    // Out of the subtransaction in any case: a transaction of one statement has no other way out of
    // it.
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
    if (!rows_do_not_fit) ReThrowError(error);
    failure = error->message;
  }
  PG_END_TRY();
  MemoryContextSwitchTo(context);
  CurrentResourceOwner = owner;
  return failure;
}

/// The index that CREATE INDEX IF NOT EXISTS finds, if it is the caller's to make.
Oid existing_index(const IndexStmt* statement) {
  if (!statement->if_not_exists || statement->idxname == nullptr) return InvalidOid;
  const Oid table = RangeVarGetRelid(statement->relation, NoLock, true);
  if (!OidIsValid(table) || !pg_class_ownercheck(table, GetUserId())) return InvalidOid;
  return get_relname_relid(statement->idxname, get_rel_namespace(table));
}

/// What programs run on each first use must not take a lock or the lane once it is done. The job is
/// the one that made the index, while it is remembered: a client that waits for it must not wait in
/// vain.
void run_existing_index(Oid index, const UtilityCall& call) {
  ereport(NOTICE, (errcode(ERRCODE_DUPLICATE_TABLE),
                   errmsg("relation \"%s\" already exists, skipping", get_rel_name(index))));
  if (!tell_job_of(index)) {
    const char* failure = get_index_isvalid(index) ? nullptr : kDuplicateKeyDetails;
    record_job({JobType::kIndexBuild, index, GetCurrentTimestamp(), failure});
  }
  if (call.completion != nullptr) SetQueryCompletion(call.completion, CMDTAG_CREATE_INDEX, 0);
}

/// CREATE INDEX ASYNC: built at once, and told as a job that has ended. If the rows do not fit, an
/// invalid entry stays until it is dropped, as the service leaves one.
void run_index_build(void* boxed) {
  auto* call = static_cast<UtilityCall*>(boxed);
  const auto* statement = castNode(IndexStmt, call->planned->utilityStmt);
  const TimestampTz start = GetCurrentTimestamp();
  auto* entry = static_cast<IndexStmt*>(copyObjectImpl(statement));
  created_relation = InvalidOid;
  const char* failure = run_job(*call);
  Oid index = created_relation;
  if (failure != nullptr) {
    index = make_invalid_index(entry, call->query);
    failure = kDuplicateKeyDetails;
  }
  CommandCounterIncrement();
  record_job({JobType::kIndexBuild, index, start, failure});
  if (call->completion != nullptr) SetQueryCompletion(call->completion, CMDTAG_CREATE_INDEX, 0);
}

void run_validation(void* boxed) {
  auto* call = static_cast<UtilityCall*>(boxed);
  const auto* statement = castNode(AlterTableStmt, call->planned->utilityStmt);
  const TimestampTz start = GetCurrentTimestamp();
  const Oid table = RangeVarGetRelid(statement->relation, NoLock, true);
  const char* failure = run_job(*call);
  CommandCounterIncrement();
  record_job({JobType::kValidation, table, start, failure});
  if (call->completion != nullptr) SetQueryCompletion(call->completion, CMDTAG_ALTER_TABLE, 0);
}

bool validates_constraint(Node* node) {
  if (!IsA(node, AlterTableStmt)) return false;
  ListCell* cell;
  foreach (cell, castNode(AlterTableStmt, node)->cmds) {
    if (lfirst_node(AlterTableCmd, cell)->subtype == AT_ValidateConstraint) return true;
  }
  return false;
}

void run_schema_change(UtilityCall& call) {
  Node* node = call.planned->utilityStmt;
  if (IsA(node, IndexStmt)) {
    const Oid index = existing_index(castNode(IndexStmt, node));
    if (OidIsValid(index)) return run_existing_index(index, call);
    return run_ddl(run_index_build, &call);
  }
  // Programs say CREATE ... IF NOT EXISTS on each first use; many at once need not queue for
  // nothing.
  if (creates_nothing(node)) return run_guarded(pass_on_boxed, &call);
  if (validates_constraint(node)) return run_ddl(run_validation, &call);
  run_ddl(pass_on_boxed, &call);
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
    return IsA(node, TransactionStmt) ? pass_on(call) : run_guarded(pass_on_boxed, &call);
  }
  if (!is_top_level) refuse(Clause::kDdlInFunction);
  note_ddl();
  run_schema_change(call);
}

void on_utility(PlannedStmt* planned, const char* query, bool read_only_tree,
                ProcessUtilityContext context, ParamListInfo parameters,
                QueryEnvironment* environment, DestReceiver* destination,
                QueryCompletion* completion) {
  const UtilityCall call{planned,    query,       read_only_tree, context,
                         parameters, environment, destination,    completion};
  // What a schema change runs below itself is PostgreSQL's own, made of a statement that was looked
  // at.
  if (!binds() || context == PROCESS_UTILITY_SUBCOMMAND) return pass_on(call);
  run_client_utility(call);
}

void on_analyze(ParseState* state, Query* query, JumbleState* jumble) {
  if (next_analyze != nullptr) next_analyze(state, query, jumble);
  if (binds()) check_query(query);
}

void on_executor_start(QueryDesc* query, int flags) {
  const bool changes_data =
      (query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE) &&
      (flags & EXEC_FLAG_EXPLAIN_ONLY) == 0;
  if (changes_data && binds() && !in_ddl()) note_dml();
  if (next_executor_start != nullptr) {
    next_executor_start(query, flags);
  } else {
    standard_ExecutorStart(query, flags);
  }
}

void define_settings() {
  DefineCustomBoolVariable("zorya.gate", "Refuses what the service refuses.", nullptr, &gate_is_on,
                           true, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
  DefineCustomBoolVariable("dsql.enable_batched_nestloop", "Accepted, without effect.", nullptr,
                           &batched_nestloop, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

}  // namespace

void install() {
  define_settings();
  report_service_version();
  install_transaction_notes();
  next_utility = ProcessUtility_hook;
  ProcessUtility_hook = on_utility;
  next_analyze = post_parse_analyze_hook;
  post_parse_analyze_hook = on_analyze;
  next_executor_start = ExecutorStart_hook;
  ExecutorStart_hook = on_executor_start;
  next_object_access = object_access_hook;
  object_access_hook = on_object_access;
}

}  // namespace zorya::query_processor::gate
