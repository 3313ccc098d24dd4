#include "query_processor/gate/schema_change.h"

#include "query_processor/gate/checks.h"
#include "query_processor/gate/ddl.h"
#include "query_processor/gate/invalid_index.h"
#include "query_processor/gate/jobs.h"
#include "query_processor/gate/touched.h"

extern "C" {
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "tcop/cmdtag.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
}

namespace zorya::query_processor::gate {
namespace {

/// The relation that the running schema change made last: the index, of CREATE INDEX.
Oid created_relation = InvalidOid;

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
  const Oid index = get_relname_relid(statement->idxname, get_rel_namespace(table));
  return OidIsValid(index) && get_rel_relkind(index) == RELKIND_INDEX ? index : InvalidOid;
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

}  // namespace

void note_created_relation(Oid relation) { created_relation = relation; }

void run_schema_change(UtilityCall& call) {
  Node* node = call.planned->utilityStmt;
  note_schema_change(schema_change_kind(node));
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

}  // namespace zorya::query_processor::gate
