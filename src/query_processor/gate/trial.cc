#include "query_processor/gate/trial.h"

#include "query_processor/catalogue.h"
#include "query_processor/errors.h"
#include "query_processor/gate/router_notices.h"
#include "query_processor/gate/schema_change.h"
#include "query_processor/gate/touched.h"
#include "query_processor/pg/subtransaction.h"
#include "query_processor/shared_state.h"

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
}

namespace zorya::query_processor::gate {
namespace {

/// Settings that say what a statement means, besides its text.
constexpr const char* kSettings[] = {"search_path", "timezone", "datestyle", "intervalstyle"};
constexpr int kSettingCount = std::size(kSettings);

/// A schema change that waits for COMMIT. In the top transaction's memory.
struct KeptChange {
  PlannedStmt* planned;
  char* query;
  void (*check)(Node*, const StatementContext&);
  Oid role;
  int security_context;
  char* settings[kSettingCount];
  adjudicator::CatalogueVersion changed_for_all;  // before the trial
};
KeptChange* kept = nullptr;

void keep(const UtilityCall& call, void (*check)(Node*, const StatementContext&)) {
  MemoryContext outside = MemoryContextSwitchTo(TopTransactionContext);
  kept = static_cast<KeptChange*>(palloc0(sizeof(KeptChange)));
  kept->planned = static_cast<PlannedStmt*>(copyObjectImpl(call.planned));
  kept->query = pstrdup(call.query);
  kept->check = check;
  kept->changed_for_all = last_change_for_all();
  GetUserIdAndSecContext(&kept->role, &kept->security_context);
  for (int i = 0; i < kSettingCount; ++i)
    kept->settings[i] = pstrdup(GetConfigOption(kSettings[i], false, false));
  MemoryContextSwitchTo(outside);
}

/// The settings of the trial, where the session has changed them since; to the end of the
/// transaction at most.
void take_settings_of_trial() {
  for (int i = 0; i < kSettingCount; ++i) {
    if (strcmp(GetConfigOption(kSettings[i], false, false), kept->settings[i]) == 0) continue;
    (void)set_config_option(kSettings[i], kept->settings[i], PGC_USERSET, PGC_S_SESSION,
                            GUC_ACTION_SAVE, true, 0, false);
  }
}

/// Errors of the machine and of its operator, which say nothing of the catalogue.
bool is_of_the_server(int sqlstate) {
  const int category = ERRCODE_TO_CATEGORY(sqlstate);
  return category == ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) ||
         category == ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) ||
         category == ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR) ||
         category == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR);
}

void run_kept() {
  UtilityCall call{kept->planned, kept->query, false,         PROCESS_UTILITY_TOPLEVEL,
                   nullptr,       nullptr,     None_Receiver, nullptr};
  if (kept->check != nullptr) {
    kept->check(kept->planned->utilityStmt,
                {kept->query, kept->planned->stmt_location, kept->planned->stmt_len, true});
  }
  run_schema_change(call);
}

/// Runs the kept change in the role and the words of its trial. What it has to say it has said
/// there.
void run_kept_quietly() {
  MemoryContext context = CurrentMemoryContext;
  const int messages_outside = client_min_messages;
  client_min_messages = ERROR;
  PG_TRY();
  { run_kept(); }
  PG_CATCH();
  {
    client_min_messages = messages_outside;
    MemoryContextSwitchTo(context);
    const ErrorData* error = CopyErrorData();
    if (is_of_the_server(error->sqlerrcode)) PG_RE_THROW();
    FlushErrorState();
    note_told_of_change();
    raise_schema_changed();
  }
  PG_END_TRY();
  client_min_messages = messages_outside;
}

/// A function or a schema that another session has changed since the trial must not be replaced
/// unseen. Of relations a session is told by itself. In the lane.
void refuse_change_of_another() {
  if (schema_change_kind(kept->planned->utilityStmt) != SchemaChangeKind::kForAll) return;
  if (last_change_for_all() == kept->changed_for_all) return;
  note_told_of_change();
  raise_schema_changed();
}

}  // namespace

bool is_in_explicit_block() {
  if (!IsTransactionBlock()) return false;
  // The two kinds of block are told apart by what this ends.
  EndImplicitTransactionBlock();
  if (IsTransactionBlock()) return true;
  BeginImplicitTransactionBlock();
  return false;
}

void run_trial(UtilityCall& call, void (*check)(Node*, const StatementContext&)) {
  keep(call, check);
  // With it go the lane and every lock that the trial took.
  ErrorData* error = pg::run_in_subtransaction(
      [](void* trial) { run_schema_change(*static_cast<UtilityCall*>(trial)); }, &call,
      pg::Subtransaction::kRolledBack);
  if (error != nullptr) ReThrowError(error);
}

void run_again_at_commit() {
  if (kept == nullptr) return;
  ++counters().schema_reruns;
  announce_schema_change();  // the run below is quiet
  // They end with the transaction anyway; one that was not read to its end uses its tables till
  // then.
  PortalHashTableDeleteAll();
  Oid role_outside = InvalidOid;
  int security_context_outside = 0;
  GetUserIdAndSecContext(&role_outside, &security_context_outside);
  const int settings_level = NewGUCNestLevel();
  // An error ends the transaction, which puts all of this back.
  take_settings_of_trial();
  SetUserIdAndSecContext(kept->role, kept->security_context);
  PushActiveSnapshot(GetTransactionSnapshot());
  run_kept_quietly();
  refuse_change_of_another();
  PopActiveSnapshot();
  SetUserIdAndSecContext(role_outside, security_context_outside);
  AtEOXact_GUC(true, settings_level);
  kept = nullptr;
}

void forget_trial() { kept = nullptr; }

}  // namespace zorya::query_processor::gate
