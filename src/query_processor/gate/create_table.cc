// CREATE TABLE.
#include "query_processor/gate/checks.h"

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/relcache.h"
}

namespace zorya::query_processor::gate {
namespace {

void refuse_foreign_namespace(const RangeVar* relation, Clause clause) {
  if (relation->relpersistence == RELPERSISTENCE_TEMP) refuse(clause);
  if (relation->schemaname != nullptr && strncmp(relation->schemaname, "pg_temp", 7) == 0)
    refuse(clause);
}

const ColumnDef* column_named(List* elements, const char* name) {
  ListCell* cell;
  foreach (cell, elements) {
    auto* element = static_cast<Node*>(lfirst(cell));
    if (!IsA(element, ColumnDef)) continue;
    const auto* column = castNode(ColumnDef, element);
    if (strcmp(column->colname, name) == 0) return column;
  }
  return nullptr;
}

/// A key's columns, by the names in `keys`, against the columns of this CREATE TABLE.
void check_table_key(const Constraint* constraint, List* columns, const ColumnDef* own_column) {
  if (constraint->deferrable) refuse(Clause::kDeferrableKey);
  if (constraint->options != NIL) refuse(Clause::kStorageParameters);
  if (constraint->indexspace != nullptr) refuse(Clause::kTablespace);
  hold_limit(Limit::kKeyColumns, list_length(constraint->keys));
  if (own_column != nullptr) {
    hold_limit(Limit::kKeyWidth, declared_width(own_column->typeName));
    return check_key_type(check_column_type(own_column->typeName));
  }
  int width = 0;
  ListCell* key_cell;
  foreach (key_cell, constraint->keys) {
    const ColumnDef* column = column_named(columns, strVal(lfirst(key_cell)));
    if (column == nullptr) continue;
    check_key_type(check_column_type(column->typeName));
    width += declared_width(column->typeName);
  }
  hold_limit(Limit::kKeyWidth, width);
}

/// What a CREATE TABLE makes.
struct Made {
  int columns = 0;
  int indexes = 0;
  int sequences = 0;
};

/// Refuses a constraint of CREATE TABLE; counts what it makes.
void check_table_constraint(const Constraint* constraint, List* columns,
                            const ColumnDef* own_column, Made* made) {
  switch (constraint->contype) {
    case CONSTR_EXCLUSION:
      refuse(Clause::kExclude);
    case CONSTR_PRIMARY:
    case CONSTR_UNIQUE:
      ++made->indexes;
      return check_table_key(constraint, columns, own_column);
    case CONSTR_IDENTITY: {
      const Oid type = own_column == nullptr ? InvalidOid : check_column_type(own_column->typeName);
      if (OidIsValid(type) && type != INT8OID) {
        refuse_text(psprintf(clause_rule(Clause::kIdentityType).text, format_type_be(type)));
      }
      ++made->sequences;
      return check_sequence_options(constraint->options, true, true);
    }
    default:
      return;
  }
}

/// DEFERRABLE of a column's constraint is a node of its own behind it: only after REFERENCES is it
/// honoured.
void check_column_constraint_order(List* constraints) {
  bool after_key = false;
  ListCell* cell;
  foreach (cell, constraints) {
    const auto* constraint = lfirst_node(Constraint, cell);
    if (constraint->contype == CONSTR_PRIMARY || constraint->contype == CONSTR_UNIQUE) {
      after_key = true;
    } else if (constraint->contype == CONSTR_ATTR_DEFERRABLE ||
               constraint->contype == CONSTR_ATTR_DEFERRED) {
      if (after_key) refuse(Clause::kDeferrableKey);
    } else if (constraint->contype == CONSTR_FOREIGN) {
      after_key = false;
    }
  }
}

void check_column(ColumnDef* column, List* columns, Made* made) {
  check_column_type(column->typeName);
  if (column->compression != nullptr) refuse(Clause::kCompression);
  check_collate(column->collClause);
  check_column_constraint_order(column->constraints);
  ListCell* cell;
  foreach (cell, column->constraints) {
    check_table_constraint(lfirst_node(Constraint, cell), columns, column, made);
  }
}

/// LIKE takes over types that no column may have, from a catalogue or a view.
void check_like(const TableLikeClause* like, Made* made) {
  constexpr bits32 kTakenOptions = CREATE_TABLE_LIKE_COMMENTS | CREATE_TABLE_LIKE_CONSTRAINTS |
                                   CREATE_TABLE_LIKE_DEFAULTS | CREATE_TABLE_LIKE_GENERATED |
                                   CREATE_TABLE_LIKE_IDENTITY | CREATE_TABLE_LIKE_INDEXES |
                                   CREATE_TABLE_LIKE_STATISTICS;
  const bool is_all = (like->options & CREATE_TABLE_LIKE_STORAGE) != 0 &&
                      (like->options & CREATE_TABLE_LIKE_COMPRESSION) != 0;
  if (!is_all && (like->options & ~kTakenOptions) != 0) refuse(Clause::kLikeOption);
  Relation source = table_openrv_extended(like->relation, AccessShareLock, true);
  if (source == nullptr) return;
  TupleDesc columns = RelationGetDescr(source);
  for (int i = 0; i < columns->natts; ++i) {
    const Form_pg_attribute column = TupleDescAttr(columns, i);
    if (column->attisdropped) continue;
    ++made->columns;
    if (column->attidentity != '\0' && (like->options & CREATE_TABLE_LIKE_IDENTITY) != 0)
      ++made->sequences;
    auto* type = makeNode(TypeName);
    type->typeOid = column->atttypid;
    type->typemod = column->atttypmod;
    check_column_type(type);
  }
  if ((like->options & CREATE_TABLE_LIKE_INDEXES) != 0)
    made->indexes += list_length(RelationGetIndexList(source));
  table_close(source, NoLock);
}

void check_create_table_clauses(const CreateStmt* statement) {
  refuse_foreign_namespace(statement->relation, Clause::kTemporaryTable);
  if (statement->relation->relpersistence == RELPERSISTENCE_UNLOGGED)
    refuse(Clause::kUnloggedTable);
  if (statement->partbound != nullptr || statement->partspec != nullptr) refuse(Clause::kPartition);
  if (statement->inhRelations != NIL) refuse(Clause::kInherits);
  if (statement->ofTypename != nullptr) refuse(Clause::kTableOf);
  if (statement->options != NIL) refuse(Clause::kStorageParameters);
  if (statement->oncommit != ONCOMMIT_NOOP) refuse(Clause::kOnCommit);
  if (statement->tablespacename != nullptr) refuse(Clause::kTablespace);
  if (statement->accessMethod != nullptr) refuse(Clause::kUsingMethod);
}
}  // namespace

void check_create_table(Node* node, const StatementContext& /*context*/) {
  auto* statement = castNode(CreateStmt, node);
  check_create_table_clauses(statement);
  Made made;
  ListCell* cell;
  foreach (cell, statement->tableElts) {
    auto* element = static_cast<Node*>(lfirst(cell));
    if (IsA(element, ColumnDef)) {
      ++made.columns;
      check_column(castNode(ColumnDef, element), statement->tableElts, &made);
    } else if (IsA(element, TableLikeClause)) {
      check_like(castNode(TableLikeClause, element), &made);
    } else if (IsA(element, Constraint)) {
      check_table_constraint(castNode(Constraint, element), statement->tableElts, nullptr, &made);
    }
  }
  hold_limit(Limit::kColumns, made.columns);
  hold_limit(Limit::kIndexes, made.indexes);
  if (creates_nothing(node)) return;
  hold_relation_limit(Limit::kTables, RELKIND_RELATION);
  if (made.sequences > 0) hold_relation_limit(Limit::kSequences, RELKIND_SEQUENCE, made.sequences);
}

}  // namespace zorya::query_processor::gate
