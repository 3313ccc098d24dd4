// How many objects there are, against the limits.
#include "query_processor/gate/checks.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
}

namespace zorya::query_processor::gate {
namespace {

bool is_system_schema(const char* name) {
  return strcmp(name, "public") == 0 || strncmp(name, "pg_", 3) == 0;
}

/// Rows of a catalogue that `accepts` likes, with what is committed by now.
template <typename Accepts>
int count_rows(Oid catalogue, Accepts accepts) {
  Relation relation = table_open(catalogue, AccessShareLock);
  SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
  int count = 0;
  while (HeapTuple tuple = systable_getnext(scan)) {
    if (accepts(tuple)) ++count;
  }
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return count;
}

/// What a user made: the objects of the template lie below FirstNormalObjectId or in sys.
bool is_user_relation(Form_pg_class relation, Oid sys) {
  return relation->oid >= FirstNormalObjectId && relation->relnamespace != sys &&
         relation->relnamespace != PG_TOAST_NAMESPACE;
}

}  // namespace

void hold_relation_limit(Limit limit, char kind, int added) {
  const Oid sys = get_namespace_oid("sys", true);
  const int count = count_rows(RelationRelationId, [kind, sys](HeapTuple tuple) {
    auto* relation = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    return relation->relkind == kind && is_user_relation(relation, sys);
  });
  hold_limit(limit, count + added);
}

void hold_schema_limit() {
  const int count = count_rows(NamespaceRelationId, [](HeapTuple tuple) {
    auto* schema = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple));
    // Those of the owner are the system's: sys, and zorya where tests force outcomes.
    return schema->oid >= FirstNormalObjectId && schema->nspowner != BOOTSTRAP_SUPERUSERID &&
           !is_system_schema(NameStr(schema->nspname));
  });
  hold_limit(Limit::kSchemas, count + 1);
}

void check_create_statistics(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(CreateStatsStmt, node);
  if (list_length(statement->relations) != 1 || !IsA(linitial(statement->relations), RangeVar))
    return;
  const Oid relation_id =
      RangeVarGetRelid(linitial_node(RangeVar, statement->relations), NoLock, true);
  if (!OidIsValid(relation_id) || get_rel_relkind(relation_id) != RELKIND_RELATION) return;
  Relation relation = table_open(relation_id, AccessShareLock);
  const int count = list_length(RelationGetStatExtList(relation));
  table_close(relation, AccessShareLock);
  hold_limit(Limit::kStatistics, count + 1);
}

}  // namespace zorya::query_processor::gate
