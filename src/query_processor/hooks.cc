#include "query_processor/hooks.h"

#include "query_processor/backend.h"
#include "query_processor/catalogue.h"
#include "query_processor/commit.h"
#include "query_processor/forced_outcomes.h"
#include "query_processor/index_only.h"
#include "query_processor/limits.h"
#include "query_processor/pg/server.h"
#include "query_processor/plant.h"
#include "query_processor/session.h"
#include "query_processor/table_am.h"

extern "C" {
#include "access/table.h"
#include "access/xact.h"
#include "executor/execdesc.h"
#include "executor/executor.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "tcop/utility.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace zorya::query_processor {
namespace {

ExecutorStart_hook_type previous_executor_start = nullptr;
ProcessUtility_hook_type previous_process_utility = nullptr;

// ------------------------------------------------------------------ executor

bool reads_our_tables(const PlannedStmt* plan) {
  ListCell* cell = nullptr;
  foreach (cell, plan->rtable) {
    const auto* entry = static_cast<const RangeTblEntry*>(lfirst(cell));
    if (entry->rtekind != RTE_RELATION) continue;
    Relation relation = table_open(entry->relid, NoLock);
    const bool ours = is_our_table(relation);
    table_close(relation, NoLock);
    if (ours) return true;
  }
  return false;
}

/// A foreign key's query reads with the latest snapshot and crosschecks against the transaction's,
/// so that it can fail at the statement for rows that the transaction does not see. Here it reads
/// what the transaction reads: the marks and changes of both sides meet at the adjudicator, and the
/// loser is told at COMMIT.
void judge_foreign_keys_by_transaction_snapshot(QueryDesc* query) {
  if (query->crosscheck_snapshot == InvalidSnapshot || !IsolationUsesXactSnapshot()) return;
  if (planted("latest_snapshot_in_foreign_keys")) return;
  if (!reads_our_tables(query->plannedstmt)) return;
  PushCopiedSnapshot(GetTransactionSnapshot());
  UpdateActiveSnapshotCommandId();
  Snapshot snapshot = RegisterSnapshot(GetActiveSnapshot());
  PopActiveSnapshot();
  UnregisterSnapshot(query->snapshot);
  UnregisterSnapshot(query->crosscheck_snapshot);
  query->snapshot = snapshot;
  query->crosscheck_snapshot = InvalidSnapshot;
}

void executor_start(QueryDesc* query, int flags) {
  if (is_client_session()) {
    check_isolation_level();
    check_transaction_age();
    check_catalogue(query);
    come_to_statement(query->plannedstmt->rtable);
  }
  if (unlikely(query->crosscheck_snapshot != InvalidSnapshot))
    judge_foreign_keys_by_transaction_snapshot(query);
  // Workers have no write set.
  if (unlikely(!backend->write_set.empty())) query->plannedstmt->parallelModeNeeded = false;
  if (previous_executor_start != nullptr) {
    previous_executor_start(query, flags);
  } else {
    standard_ExecutorStart(query, flags);
  }
  if (unlikely(backend->write_set.hidden_count() > 0)) hide_rows_from_index_only_scans(query);
}

// ------------------------------------------------------------------ utility statements

/// Statements that go through the access method for all they do with rows, or do nothing with them.
bool leaves_pending_rows_alone(NodeTag tag) {
  switch (tag) {
    case T_TransactionStmt:
    case T_DeclareCursorStmt:
    case T_FetchStmt:
    case T_ClosePortalStmt:
    case T_VariableSetStmt:
    case T_VariableShowStmt:
    case T_CopyStmt:
    case T_PrepareStmt:
    case T_ExecuteStmt:
    case T_DeallocateStmt:
    case T_ExplainStmt:
    case T_NotifyStmt:
    case T_ListenStmt:
    case T_UnlistenStmt:
    case T_CallStmt:
    case T_DoStmt:
    case T_LockStmt:
    case T_ConstraintsSetStmt:
    case T_DiscardStmt:
    case T_CreateTableAsStmt:
    // ANALYZE: the statistics are those of the heap. Claiming keys for them would let this
    // transaction win before it commits.
    case T_VacuumStmt:
      return true;
    default:
      return false;
  }
}

/// When a transaction's age is looked at, for a utility statement.
enum class AgeCheck { kNone, kBefore, kAfter };

AgeCheck age_check_of(const Node* statement) {
  if (IsAbortedTransactionBlockState()) return AgeCheck::kNone;
  if (!IsA(statement, TransactionStmt)) return AgeCheck::kBefore;
  switch (reinterpret_cast<const TransactionStmt*>(statement)->kind) {
    case TRANS_STMT_COMMIT:
      // PostgreSQL only notes here that the block is to end. An error after that ends it; one
      // before would leave the client in a failed block.
      return AgeCheck::kAfter;
    case TRANS_STMT_ROLLBACK:
    case TRANS_STMT_ROLLBACK_TO:
    case TRANS_STMT_ROLLBACK_PREPARED:
      return AgeCheck::kNone;
    default:
      return AgeCheck::kBefore;
  }
}

void process_utility(PlannedStmt* plan, const char* query, bool read_only_tree,
                     ProcessUtilityContext context, ParamListInfo parameters,
                     QueryEnvironment* environment, DestReceiver* receiver,
                     QueryCompletion* completion) {
  const Node* statement = plan->utilityStmt;
  const AgeCheck age_check = age_check_of(statement);
  if (age_check == AgeCheck::kBefore) check_transaction_age();
  if (backend->write_set.has_versions() && !leaves_pending_rows_alone(nodeTag(statement)))
    apply_early();
  if (previous_process_utility != nullptr) {
    previous_process_utility(plan, query, read_only_tree, context, parameters, environment,
                             receiver, completion);
  } else {
    standard_ProcessUtility(plan, query, read_only_tree, context, parameters, environment, receiver,
                            completion);
  }
  if (age_check == AgeCheck::kAfter) check_transaction_age();
}

}  // namespace

void install_hooks() {
  previous_executor_start = ExecutorStart_hook;
  ExecutorStart_hook = executor_start;
  previous_process_utility = ProcessUtility_hook;
  ProcessUtility_hook = process_utility;
}

}  // namespace zorya::query_processor
