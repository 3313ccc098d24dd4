// Clauses and types inside queries: SELECT, INSERT, UPDATE, DELETE, and the queries inside EXPLAIN,
// COPY, views, functions.
#include "query_processor/gate/checks.h"

extern "C" {
#include "catalog/pg_type_d.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
}

namespace zorya::query_processor::gate {
namespace {

/// Types that do not exist at run time either. Recorded for geometry; xml_in reaches the server's
/// memory by way of entities, and no xml column can exist.
constexpr Oid kRefusedTypes[] = {POINTOID, LINEOID,    LSEGOID,   BOXOID,
                                 PATHOID,  POLYGONOID, CIRCLEOID, XMLOID};

bool is_refused_type(Oid type) {
  for (const Oid refused : kRefusedTypes) {
    if (refused == type) return true;
  }
  return false;
}

void check_expression_type(Node* node) {
  switch (nodeTag(node)) {
    case T_Const:
    case T_Param:
    case T_FuncExpr:
    case T_OpExpr:
    case T_Aggref:
    case T_RelabelType:
    case T_CoerceViaIO:
    case T_XmlExpr:
      break;
    default:
      return;
  }
  const Oid type = exprType(node);
  if (is_refused_type(type))
    refuse_text(psprintf("datatype %s not supported", format_type_be(type)));
}

void check_lock_strength(LockClauseStrength strength) {
  if (strength != LCS_FORUPDATE && strength != LCS_FORKEYSHARE) refuse(Clause::kForShare);
}

void check_query_level(const Query* query) {
  if (query->commandType == CMD_MERGE) refuse(Clause::kMerge);
  ListCell* cell;
  foreach (cell, query->rowMarks) check_lock_strength(lfirst_node(RowMarkClause, cell)->strength);
  foreach (cell, query->rtable) {
    if (lfirst_node(RangeTblEntry, cell)->tablesample != nullptr) refuse(Clause::kTableSample);
  }
}

using Walker = bool (*)(Node*, void*);

/// PostgreSQL 15 declares its walkers' argument without parameters and calls it with two.
auto untyped(Walker walker) -> bool (*)() {
  return reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker));
}

bool walk(Node* node, void* context) {
  if (node == nullptr) return false;
  if (IsA(node, Query)) {
    auto* query = castNode(Query, node);
    check_query_level(query);
    return query_tree_walker(query, untyped(walk), context, 0);
  }
  check_expression_type(node);
  return expression_tree_walker(node, untyped(walk), context);
}

bool walk_raw(Node* node, void* context) {
  if (node == nullptr) return false;
  switch (nodeTag(node)) {
    case T_LockingClause:
      check_lock_strength(castNode(LockingClause, node)->strength);
      return false;
    case T_RangeTableSample:
      refuse(Clause::kTableSample);
    case T_MergeStmt:
      refuse(Clause::kMerge);
    case T_ReturnStmt:
      return walk_raw(castNode(ReturnStmt, node)->returnval, context);
    default:
      return raw_expression_tree_walker(node, untyped(walk_raw), context);
  }
}

}  // namespace

void check_query(Query* query) {
  if (query->utilityStmt == nullptr) {
    walk(reinterpret_cast<Node*>(query), nullptr);
  } else if (IsA(query->utilityStmt, ExplainStmt)) {
    walk(castNode(ExplainStmt, query->utilityStmt)->query, nullptr);
  }
}

void check_raw_body(Node* body) { walk_raw(body, nullptr); }

}  // namespace zorya::query_processor::gate
