#include "query_processor/gate/schema_change.h"

#include "query_processor/gate/checks.h"
#include "query_processor/gate/ddl.h"
#include "query_processor/gate/touched.h"
#include "query_processor/jobs/index_build.h"
#include "query_processor/jobs/submit.h"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "tcop/cmdtag.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace zorya::query_processor::gate {
namespace {

using jobs::JobType;

/// The index that CREATE INDEX IF NOT EXISTS finds, if it is the caller's to make.
Oid existing_index(const IndexStmt* statement) {
  if (!statement->if_not_exists || statement->idxname == nullptr) return InvalidOid;
  const Oid table = RangeVarGetRelid(statement->relation, NoLock, true);
  if (!OidIsValid(table) || !pg_class_ownercheck(table, GetUserId())) return InvalidOid;
  const Oid index = get_relname_relid(statement->idxname, get_rel_namespace(table));
  return OidIsValid(index) && get_rel_relkind(index) == RELKIND_INDEX ? index : InvalidOid;
}

/// The job is the one that made the index, while it is remembered: a client that waits for it must
/// not wait in vain.
void tell_job_of_existing_index(Oid index) {
  if (!OidIsValid(index) || jobs::tell_job_of(JobType::kIndexBuild, index)) return;
  const char* failure = get_index_isvalid(index) ? nullptr : jobs::kDuplicateKeyDetails;
  jobs::record_ended_job(JobType::kIndexBuild, index, failure);
}

/// What programs run on each first use must not take a lock or the lane once it is done.
void run_existing_index(Oid index, const UtilityCall& call) {
  ereport(NOTICE, (errcode(ERRCODE_DUPLICATE_TABLE),
                   errmsg("relation \"%s\" already exists, skipping", get_rel_name(index))));
  tell_job_of_existing_index(index);
  if (call.completion != nullptr) SetQueryCompletion(call.completion, CMDTAG_CREATE_INDEX, 0);
}

/// CREATE INDEX ASYNC: the entry is made here, a job does the rest.
void run_index_entry(void* boxed) {
  auto* call = static_cast<UtilityCall*>(boxed);
  const auto* statement = castNode(IndexStmt, call->planned->utilityStmt);
  const Oid index =
      jobs::make_index_entry(static_cast<IndexStmt*>(copyObjectImpl(statement)), call->query);
  CommandCounterIncrement();
  if (OidIsValid(index)) {
    jobs::submit_job(JobType::kIndexBuild, index, IndexGetRelation(index, false));
  } else {
    tell_job_of_existing_index(existing_index(statement));
  }
  if (call->completion != nullptr) SetQueryCompletion(call->completion, CMDTAG_CREATE_INDEX, 0);
}

/// The constraint that is to be validated; raises what ALTER TABLE would.
Oid constraint_to_validate(Oid table, const char* name) {
  const Oid constraint = get_relation_constraint_oid(table, name, true);
  HeapTuple row = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
  if (!HeapTupleIsValid(row)) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                    errmsg("constraint \"%s\" of relation \"%s\" does not exist", name,
                           get_rel_name(table))));
  }
  const char type = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(row))->contype;
  ReleaseSysCache(row);
  if (type != CONSTRAINT_CHECK && type != CONSTRAINT_FOREIGN) {
    ereport(ERROR,
            (errcode(ERRCODE_WRONG_OBJECT_TYPE),
             errmsg("constraint \"%s\" of relation \"%s\" is not a foreign key or check constraint",
                    name, get_rel_name(table))));
  }
  return constraint;
}

/// ALTER TABLE ASYNC ... VALIDATE CONSTRAINT: looked at here, done by a job. (The gate takes no
/// other form beside it.)
void run_validation(void* boxed) {
  auto* call = static_cast<UtilityCall*>(boxed);
  const auto* statement = castNode(AlterTableStmt, call->planned->utilityStmt);
  // Says that it is not there, or that IF EXISTS skips it.
  if (!OidIsValid(RangeVarGetRelid(statement->relation, NoLock, true))) return pass_on(*call);
  const Oid table = RangeVarGetRelidExtended(statement->relation, AccessShareLock, 0,
                                             RangeVarCallbackOwnsTable, nullptr);
  const char* name = linitial_node(AlterTableCmd, statement->cmds)->name;
  jobs::submit_job(JobType::kValidation, table, constraint_to_validate(table, name));
  if (call->completion != nullptr) SetQueryCompletion(call->completion, CMDTAG_ALTER_TABLE, 0);
}

/// PostgreSQL completes a statement as it runs it, and this one may run again.
void run_copy(void* boxed) {
  UtilityCall call = *static_cast<const UtilityCall*>(boxed);
  call.planned = static_cast<PlannedStmt*>(copyObjectImpl(call.planned));
  pass_on(call);
}

bool validates_constraint(Node* node) {
  if (!IsA(node, AlterTableStmt)) return false;
  const List* commands = castNode(AlterTableStmt, node)->cmds;
  return commands != NIL &&
         linitial_node(AlterTableCmd, commands)->subtype == AT_ValidateConstraint;
}

}  // namespace

void run_schema_change(UtilityCall& call) {
  Node* node = call.planned->utilityStmt;
  note_schema_change(schema_change_kind(node));
  if (IsA(node, IndexStmt)) {
    const Oid index = existing_index(castNode(IndexStmt, node));
    if (OidIsValid(index)) return run_existing_index(index, call);
    return run_ddl(run_index_entry, &call);
  }
  // Programs say CREATE ... IF NOT EXISTS on each first use; many at once need not queue for
  // nothing.
  if (creates_nothing(node)) return run_guarded(pass_on_boxed, &call);
  if (validates_constraint(node)) return run_ddl(run_validation, &call);
  run_ddl(run_copy, &call);
}

}  // namespace zorya::query_processor::gate
