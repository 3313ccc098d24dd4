#include "query_processor/backend.h"
#include "query_processor/jobs/submit.h"
#include "query_processor/table_am.h"

extern "C" {
#include "access/relscan.h"
#include "catalog/pg_am_d.h"
#include "commands/vacuum.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"
}

// Index builds: heap's, which insist on a table of heap's. They see the heap as it is, without
// write set and without hiding, and wait for open writers as PostgreSQL has it.
namespace zorya::query_processor {
namespace {

/// A build that pretends to work on a table of heap's. An invalidation in its middle makes
/// PostgreSQL read the access method anew, so the pretence is renewed at every row.
struct Build {
  Relation table;
  IndexBuildCallback add_row;
  void* add_row_state;
};

void add_row_to_index(Relation index, ItemPointer tid, Datum* values, bool* nulls, bool alive,
                      void* state) {
  auto* build = static_cast<Build*>(state);
  build->add_row(index, tid, values, nulls, alive, build->add_row_state);
  build->table->rd_tableam = heap_am();
}

double build_range_scan(Relation table, Relation index, IndexInfo* info, bool allow_sync,
                        bool any_visible, bool progress, BlockNumber start_block,
                        BlockNumber block_count, IndexBuildCallback add_row, void* add_row_state,
                        TableScanDesc scan) {
  Build build{table, add_row, add_row_state};
  volatile double count = 0;
  table->rd_tableam = heap_am();
  ++backend->building;
  PG_TRY();
  {
    count =
        heap_am()->index_build_range_scan(table, index, info, allow_sync, any_visible, progress,
                                          start_block, block_count, add_row_to_index, &build, scan);
  }
  PG_FINALLY();
  {
    --backend->building;
    table->rd_tableam = table_am();
  }
  PG_END_TRY();
  return count;
}

void validate_scan(Relation table, Relation index, IndexInfo* info, Snapshot snapshot,
                   ValidateIndexState* state) {
  if (backend->checks_keys_later) info->ii_Unique = false;
  table->rd_tableam = heap_am();
  ++backend->building;
  PG_TRY();
  { heap_am()->index_validate_scan(table, index, info, snapshot, state); }
  PG_FINALLY();
  {
    --backend->building;
    table->rd_tableam = table_am();
  }
  PG_END_TRY();
}

/// Cutting off empty pages takes an exclusive lock on the table, which would hold up statements;
/// the space is used again.
void vacuum(Relation table, VacuumParams* params, BufferAccessStrategy strategy) {
  VacuumParams without_truncation = *params;
  without_truncation.truncate = VACOPTVALUE_DISABLED;
  heap_am()->relation_vacuum(table, &without_truncation, strategy);
}

/// Statistics are a job of the service's, by whomever they are collected.
bool analyze_next_block(TableScanDesc scan, BlockNumber block, BufferAccessStrategy strategy) {
  jobs::note_analyzed(RelationGetRelid(scan->rs_rd));
  return heap_am()->scan_analyze_next_block(scan, block, strategy);
}

Oid toast_am(Relation) { return HEAP_TABLE_AM_OID; }

}  // namespace

void set_ddl_members(TableAmRoutine* routine) {
  routine->index_build_range_scan = build_range_scan;
  routine->index_validate_scan = validate_scan;
  routine->relation_vacuum = vacuum;
  routine->scan_analyze_next_block = analyze_next_block;
  routine->relation_toast_am = toast_am;
}

}  // namespace zorya::query_processor
