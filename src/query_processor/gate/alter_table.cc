// ALTER TABLE: the forms, and what some of them refuse.
#include "query_processor/gate/async_mark.h"
#include "query_processor/gate/checks.h"

extern "C" {
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace zorya::query_processor::gate {
namespace {

constexpr Answer kTaken = Answer::kTaken;
constexpr Answer kRefused = Answer::kRefused;
constexpr Source kR = Source::kRecorded;
constexpr Source kD = Source::kDocumented;
constexpr Source kS = Source::kGrammar;
constexpr Source kI = Source::kInferred;

constexpr AlterTableRule kAlterTable[] = {
    {AT_AddColumn, "ADD COLUMN name type", kTaken, nullptr, kR},
    {AT_DropColumn, "DROP COLUMN", kTaken, nullptr, kD},
    {AT_ColumnDefault, "ALTER COLUMN SET DEFAULT, DROP DEFAULT", kTaken, nullptr, kR},
    {AT_DropNotNull, "ALTER COLUMN DROP NOT NULL", kTaken, nullptr, kR},
    {AT_SetStorage, "ALTER COLUMN SET STORAGE", kTaken, nullptr, kR},
    {AT_DropExpression, "ALTER COLUMN DROP EXPRESSION", kTaken, nullptr, kD},
    {AT_AddIdentity, "ALTER COLUMN ADD GENERATED AS IDENTITY (CACHE ..)", kTaken, nullptr, kD},
    {AT_SetIdentity, "ALTER COLUMN SET GENERATED, SET option, RESTART", kTaken, nullptr, kS},
    {AT_DropIdentity, "ALTER COLUMN DROP IDENTITY", kTaken, nullptr, kS},
    {AT_AlterConstraint, "ALTER CONSTRAINT", kTaken, nullptr, kD},
    {AT_AddConstraint, "ADD CONSTRAINT .. CHECK or FOREIGN KEY .. NOT VALID, UNIQUE USING INDEX",
     kTaken, nullptr, kD},
    {AT_ValidateConstraint, "ALTER TABLE ASYNC .. VALIDATE CONSTRAINT", kTaken, nullptr, kD},
    {AT_DropConstraint, "DROP CONSTRAINT", kTaken, nullptr, kD},
    {AT_ChangeOwner, "OWNER TO", kTaken, nullptr, kD},
    {AT_EnableTrigAll, "ENABLE TRIGGER ALL (no effect)", kTaken, nullptr, kR},
    {AT_EnableTrigUser, "ENABLE TRIGGER USER (no effect)", kTaken, nullptr, kR},
    {AT_DisableTrigAll, "DISABLE TRIGGER ALL (no effect)", kTaken, nullptr, kR},
    {AT_DisableTrigUser, "DISABLE TRIGGER USER (no effect)", kTaken, nullptr, kR},
    {AT_SetNotNull, "ALTER COLUMN SET NOT NULL", kRefused,
     "unsupported ALTER TABLE ALTER COLUMN ... SET NOT NULL statement", kI},
    {AT_AlterColumnType, "ALTER COLUMN TYPE", kRefused,
     "unsupported ALTER TABLE ALTER COLUMN ... SET DATA TYPE statement", kR},
    {AT_SetStatistics, "ALTER COLUMN SET STATISTICS", kRefused,
     "unsupported ALTER TABLE ALTER COLUMN ... SET STATISTICS statement", kR},
    {AT_SetCompression, "ALTER COLUMN SET COMPRESSION", kRefused,
     "unsupported ALTER TABLE ALTER COLUMN ... SET COMPRESSION statement", kI},
    {AT_SetOptions, "ALTER COLUMN SET (options)", kRefused,
     "unsupported ALTER TABLE ALTER COLUMN ... SET statement", kI},
    {AT_ResetOptions, "ALTER COLUMN RESET (options)", kRefused,
     "unsupported ALTER TABLE ALTER COLUMN ... RESET statement", kI},
    {AT_AlterColumnGenericOptions, "ALTER COLUMN OPTIONS", kRefused,
     "unsupported ALTER TABLE ALTER COLUMN ... OPTIONS statement", kI},
    {AT_ClusterOn, "CLUSTER ON", kRefused, "unsupported ALTER TABLE CLUSTER ON statement", kI},
    {AT_DropCluster, "SET WITHOUT CLUSTER", kRefused,
     "unsupported ALTER TABLE SET WITHOUT CLUSTER statement", kI},
    {AT_SetLogged, "SET LOGGED", kRefused, "unsupported ALTER TABLE SET LOGGED statement", kI},
    {AT_SetUnLogged, "SET UNLOGGED", kRefused, "unsupported ALTER TABLE SET UNLOGGED statement",
     kI},
    {AT_DropOids, "SET WITHOUT OIDS", kRefused,
     "unsupported ALTER TABLE SET WITHOUT OIDS statement", kI},
    {AT_SetAccessMethod, "SET ACCESS METHOD", kRefused,
     "unsupported ALTER TABLE SET ACCESS METHOD statement", kI},
    {AT_SetTableSpace, "SET TABLESPACE", kRefused,
     "unsupported ALTER TABLE SET TABLESPACE statement", kI},
    {AT_SetRelOptions, "SET (parameters)", kRefused, "unsupported ALTER TABLE SET statement", kI},
    {AT_ResetRelOptions, "RESET (parameters)", kRefused, "unsupported ALTER TABLE RESET statement",
     kI},
    {AT_EnableTrig, "ENABLE TRIGGER name", kRefused,
     "unsupported ALTER TABLE ENABLE TRIGGER statement", kI},
    {AT_EnableAlwaysTrig, "ENABLE ALWAYS TRIGGER", kRefused,
     "unsupported ALTER TABLE ENABLE ALWAYS TRIGGER statement", kI},
    {AT_EnableReplicaTrig, "ENABLE REPLICA TRIGGER", kRefused,
     "unsupported ALTER TABLE ENABLE REPLICA TRIGGER statement", kI},
    {AT_DisableTrig, "DISABLE TRIGGER name", kRefused,
     "unsupported ALTER TABLE DISABLE TRIGGER statement", kI},
    {AT_EnableRule, "ENABLE RULE", kRefused, "unsupported ALTER TABLE ENABLE RULE statement", kI},
    {AT_EnableAlwaysRule, "ENABLE ALWAYS RULE", kRefused,
     "unsupported ALTER TABLE ENABLE ALWAYS RULE statement", kI},
    {AT_EnableReplicaRule, "ENABLE REPLICA RULE", kRefused,
     "unsupported ALTER TABLE ENABLE REPLICA RULE statement", kI},
    {AT_DisableRule, "DISABLE RULE", kRefused, "unsupported ALTER TABLE DISABLE RULE statement",
     kI},
    {AT_AddInherit, "INHERIT", kRefused, "unsupported ALTER TABLE INHERIT statement", kI},
    {AT_DropInherit, "NO INHERIT", kRefused, "unsupported ALTER TABLE NO INHERIT statement", kI},
    {AT_AddOf, "OF type", kRefused, "unsupported ALTER TABLE OF statement", kI},
    {AT_DropOf, "NOT OF", kRefused, "unsupported ALTER TABLE NOT OF statement", kI},
    {AT_ReplicaIdentity, "REPLICA IDENTITY", kRefused,
     "unsupported ALTER TABLE REPLICA IDENTITY statement", kI},
    {AT_EnableRowSecurity, "ENABLE ROW LEVEL SECURITY", kRefused,
     "unsupported ALTER TABLE ENABLE ROW LEVEL SECURITY statement", kI},
    {AT_DisableRowSecurity, "DISABLE ROW LEVEL SECURITY", kRefused,
     "unsupported ALTER TABLE DISABLE ROW LEVEL SECURITY statement", kI},
    {AT_ForceRowSecurity, "FORCE ROW LEVEL SECURITY", kRefused,
     "unsupported ALTER TABLE FORCE ROW LEVEL SECURITY statement", kI},
    {AT_NoForceRowSecurity, "NO FORCE ROW LEVEL SECURITY", kRefused,
     "unsupported ALTER TABLE NO FORCE ROW LEVEL SECURITY statement", kI},
    {AT_GenericOptions, "OPTIONS", kRefused, "unsupported ALTER TABLE OPTIONS statement", kI},
    {AT_AttachPartition, "ATTACH PARTITION", kRefused,
     "unsupported ALTER TABLE ATTACH PARTITION statement", kI},
    {AT_DetachPartition, "DETACH PARTITION", kRefused,
     "unsupported ALTER TABLE DETACH PARTITION statement", kI},
};

bool is_trigger_switch(AlterTableType type) {
  return type == AT_EnableTrigAll || type == AT_EnableTrigUser || type == AT_DisableTrigAll ||
         type == AT_DisableTrigUser;
}
void check_added_constraint(const Constraint* constraint) {
  switch (constraint->contype) {
    case CONSTR_CHECK:
    case CONSTR_FOREIGN:
      if (!constraint->skip_validation) refuse(Clause::kAddConstraint);
      return;
    case CONSTR_UNIQUE:
      if (constraint->indexname == nullptr) refuse(Clause::kAddConstraint);
      if (constraint->deferrable) refuse(Clause::kDeferrableKey);
      return;
    default:
      refuse(Clause::kAddConstraint);
  }
}

void check_added_column(ColumnDef* column) {
  if (column->constraints != NIL || column->raw_default != nullptr)
    refuse(Clause::kAddColumnWithConstraint);
  if (column->compression != nullptr) refuse(Clause::kCompression);
  check_collate(column->collClause);
  check_column_type(column->typeName);
}

Oid relation_of(const RangeVar* name) { return RangeVarGetRelid(name, NoLock, true); }

/// The primary key is the table: neither it nor one of its columns goes.
void check_dropped_column(const RangeVar* table, const char* column_name) {
  const Oid relation_id = relation_of(table);
  if (!OidIsValid(relation_id)) return;
  const AttrNumber column = get_attnum(relation_id, column_name);
  Oid constraint = InvalidOid;
  if (column <= 0) return;
  Bitmapset* key = get_primary_key_attnos(relation_id, false, &constraint);
  if (bms_is_member(column - FirstLowInvalidHeapAttributeNumber, key)) {
    refuse_text(psprintf("cannot drop primary key column %s", column_name));
  }
}

void check_dropped_constraint(const RangeVar* table, const char* name) {
  const Oid relation_id = relation_of(table);
  if (!OidIsValid(relation_id)) return;
  Oid constraint = InvalidOid;
  get_primary_key_attnos(relation_id, false, &constraint);
  if (!OidIsValid(constraint)) return;
  const char* key_name = get_constraint_name(constraint);
  if (key_name != nullptr && strcmp(key_name, name) == 0) {
    refuse_text(psprintf(clause_rule(Clause::kDropKeyConstraint).text, name));
  }
}

void check_added_identity(const RangeVar* table, const AlterTableCmd* command) {
  const Oid relation_id = relation_of(table);
  if (OidIsValid(relation_id)) {
    const AttrNumber column = get_attnum(relation_id, command->name);
    const Oid type = column > 0 ? get_atttype(relation_id, column) : InvalidOid;
    if (OidIsValid(type) && type != INT8OID) {
      refuse_text(psprintf(clause_rule(Clause::kIdentityType).text, format_type_be(type)));
    }
  }
  check_sequence_options(castNode(Constraint, command->def)->options, true, true);
  hold_relation_limit(Limit::kSequences, RELKIND_SEQUENCE);
}

const AlterTableRule* alter_table_rule(AlterTableType type) {
  for (const AlterTableRule& rule : kAlterTable) {
    if (rule.type == type) return &rule;
  }
  return nullptr;
}

bool object_takes(ObjectType object, AlterTableType type) {
  switch (object) {
    case OBJECT_TABLE:
      return true;
    case OBJECT_VIEW:
      return type == AT_ColumnDefault || type == AT_ChangeOwner;
    case OBJECT_SEQUENCE:
      return type == AT_ChangeOwner;
    default:
      return false;
  }
}

const char* object_word(ObjectType object) {
  switch (object) {
    case OBJECT_VIEW:
      return "VIEW";
    case OBJECT_SEQUENCE:
      return "SEQUENCE";
    case OBJECT_INDEX:
      return "INDEX";
    case OBJECT_MATVIEW:
      return "MATERIALIZED VIEW";
    case OBJECT_FOREIGN_TABLE:
      return "FOREIGN TABLE";
    default:
      return "TYPE";
  }
}

void check_alter_command(const AlterTableStmt* statement, AlterTableCmd* command, bool is_async) {
  const AlterTableRule* rule = alter_table_rule(command->subtype);
  if (rule == nullptr) refuse_text("unsupported ALTER TABLE statement");
  if (!object_takes(statement->objtype, command->subtype)) {
    refuse_text(psprintf("unsupported ALTER %s statement", object_word(statement->objtype)));
  }
  if (rule->answer != kTaken) refuse_text(rule->text);
  switch (command->subtype) {
    case AT_AddColumn:
      return check_added_column(castNode(ColumnDef, command->def));
    case AT_AddConstraint:
      return check_added_constraint(castNode(Constraint, command->def));
    case AT_DropColumn:
      return check_dropped_column(statement->relation, command->name);
    case AT_DropConstraint:
      return check_dropped_constraint(statement->relation, command->name);
    case AT_AddIdentity:
      return check_added_identity(statement->relation, command);
    case AT_SetIdentity:
      return check_sequence_options(castNode(List, command->def), true, false);
    case AT_ValidateConstraint:
      if (!is_async) refuse_text("unsupported ALTER TABLE VALIDATE CONSTRAINT statement");
      return;
    default:
      return;
  }
}

int live_column_count(Oid relation_id) {
  HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation_id));
  if (!HeapTupleIsValid(row)) return 0;
  const AttrNumber last = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relnatts;
  ReleaseSysCache(row);
  int count = 0;
  for (AttrNumber column = 1; column <= last; ++column) {
    if (OidIsValid(get_atttype(relation_id, column))) ++count;
  }
  return count;
}

/// Live columns of the table, with those that `commands` add and drop.
void hold_column_limit(const RangeVar* table, List* commands) {
  const Oid relation_id = relation_of(table);
  if (!OidIsValid(relation_id) || get_rel_relkind(relation_id) != RELKIND_RELATION) return;
  int count = live_column_count(relation_id);
  ListCell* cell;
  foreach (cell, commands) {
    const auto* command = lfirst_node(AlterTableCmd, cell);
    if (command->subtype == AT_DropColumn) --count;
    if (command->subtype != AT_AddColumn) continue;
    const char* name = castNode(ColumnDef, command->def)->colname;
    if (!command->missing_ok || get_attnum(relation_id, name) == InvalidAttrNumber) ++count;
  }
  hold_limit(Limit::kColumns, count);
}

bool adds_column(List* commands) {
  ListCell* cell;
  foreach (cell, commands) {
    if (lfirst_node(AlterTableCmd, cell)->subtype == AT_AddColumn) return true;
  }
  return false;
}
}  // namespace

std::span<const AlterTableRule> alter_table_rules() { return kAlterTable; }

void check_alter_table(Node* node, const StatementContext& context) {
  auto* statement = castNode(AlterTableStmt, node);
  const bool is_async = has_async_mark(statement_text(context));
  if (is_async && list_length(statement->cmds) > 1)
    refuse_text("unsupported ALTER TABLE ASYNC statement");
  List* effective = NIL;
  ListCell* cell;
  foreach (cell, statement->cmds) {
    auto* command = lfirst_node(AlterTableCmd, cell);
    check_alter_command(statement, command, is_async);
    if (!is_trigger_switch(command->subtype)) effective = lappend(effective, command);
  }
  if (adds_column(statement->cmds)) hold_column_limit(statement->relation, statement->cmds);
  // Triggers do not exist; those that PostgreSQL makes for foreign keys must stay on.
  statement->cmds = effective;
}

}  // namespace zorya::query_processor::gate
