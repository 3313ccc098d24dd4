#include "query_processor/gate/invalid_index.h"

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "parser/parse_utilcmd.h"
#include "utils/inval.h"
#include "utils/syscache.h"
}

namespace zorya::query_processor::gate {

Oid make_invalid_index(IndexStmt* statement, const char* query) {
  const Oid table = RangeVarGetRelidExtended(statement->relation, ShareLock, 0,
                                             RangeVarCallbackOwnsRelation, nullptr);
  statement = transformIndexStmt(table, statement, query);
  const ObjectAddress made = DefineIndex(table, statement, InvalidOid, InvalidOid, InvalidOid,
                                         false, true, true, true /* skip_build */, true);
  CommandCounterIncrement();
  if (!OidIsValid(made.objectId)) return InvalidOid;
  Relation catalogue = table_open(IndexRelationId, RowExclusiveLock);
  HeapTuple row = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(made.objectId));
  auto* index = reinterpret_cast<Form_pg_index>(GETSTRUCT(row));
  index->indisvalid = false;
  index->indisready = false;
  CatalogTupleUpdate(catalogue, &row->t_self, row);
  table_close(catalogue, NoLock);
  CacheInvalidateRelcacheByRelid(table);
  return made.objectId;
}

}  // namespace zorya::query_processor::gate
