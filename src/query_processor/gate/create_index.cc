// CREATE INDEX.
#include "query_processor/gate/async_mark.h"
#include "query_processor/gate/checks.h"

extern "C" {
#include "access/attnum.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
}

namespace zorya::query_processor::gate {
namespace {

/// Refuses what a key or an included column may not say; the bytes that a key column declares.
int check_index_element(const IndexElem* element, Oid relation_id, bool is_key) {
  if (element->ordering != SORTBY_DEFAULT) refuse(Clause::kIndexOrder);
  if (element->opclass != NIL) refuse(Clause::kIndexOpclass);
  if (element->collation != NIL) refuse(Clause::kIndexCollate);
  if (!is_key || element->name == nullptr || !OidIsValid(relation_id)) return 0;
  const AttrNumber column = get_attnum(relation_id, element->name);
  if (column <= 0) return 0;
  Oid type = InvalidOid;
  int32 modifier = -1;
  Oid collation = InvalidOid;
  get_atttypetypmodcoll(relation_id, column, &type, &modifier, &collation);
  check_key_type(type);
  return declared_width(type, modifier);
}

void hold_index_limit(Oid relation_id) {
  if (get_rel_relkind(relation_id) != RELKIND_RELATION) return;
  Relation relation = table_open(relation_id, AccessShareLock);
  const int count = list_length(RelationGetIndexList(relation));
  table_close(relation, AccessShareLock);
  hold_limit(Limit::kIndexes, count + 1);
}

/// IF NOT EXISTS adds none where the name is taken.
bool is_skipped(const IndexStmt* statement, Oid relation_id) {
  return statement->if_not_exists && statement->idxname != nullptr &&
         OidIsValid(get_relname_relid(statement->idxname, get_rel_namespace(relation_id)));
}

}  // namespace

std::string_view statement_text(const StatementContext& context) {
  const std::string_view whole(context.query);
  const auto start = static_cast<std::size_t>(std::max(context.location, 0));
  if (start >= whole.size()) return {};
  const auto length = static_cast<std::size_t>(std::max(context.length, 0));
  return length == 0 ? whole.substr(start) : whole.substr(start, length);
}
void check_create_index(Node* node, const StatementContext& context) {
  const auto* statement = castNode(IndexStmt, node);
  const std::string_view text = statement_text(context);
  if (statement->concurrent) refuse(Clause::kIndexConcurrently);
  if (!has_async_mark(text)) refuse(Clause::kIndexMode);
  if (names_index_method(text)) refuse(Clause::kIndexUsing);
  if (statement->options != NIL) refuse(Clause::kIndexOptions);
  if (statement->tableSpace != nullptr) refuse(Clause::kIndexTablespace);
  const Oid relation_id = RangeVarGetRelid(statement->relation, NoLock, true);
  hold_limit(Limit::kKeyColumns, list_length(statement->indexParams));
  ListCell* cell;
  int width = 0;
  foreach (cell, statement->indexParams) {
    width += check_index_element(lfirst_node(IndexElem, cell), relation_id, true);
  }
  hold_limit(Limit::kKeyWidth, width);
  foreach (cell, statement->indexIncludingParams) {
    check_index_element(lfirst_node(IndexElem, cell), relation_id, false);
  }
  if (OidIsValid(relation_id) && !is_skipped(statement, relation_id)) hold_index_limit(relation_id);
}

}  // namespace zorya::query_processor::gate
