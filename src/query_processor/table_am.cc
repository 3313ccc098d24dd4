#include "query_processor/table_am.h"

extern "C" {
#include "access/heapam.h"
#include "utils/rel.h"
}

namespace zorya::query_processor {
namespace {

TableAmRoutine routine;
const TableAmRoutine* heap = nullptr;

}  // namespace

void install_table_am() {
  heap = GetHeapamTableAmRoutine();
  routine = *heap;
  set_read_members(&routine);
  set_write_members(&routine);
  set_ddl_members(&routine);
}

const TableAmRoutine* table_am() { return &routine; }
const TableAmRoutine* heap_am() { return heap; }
bool is_our_table(Relation relation) { return relation->rd_tableam == &routine; }

}  // namespace zorya::query_processor

ZORYA_SQL_FUNCTION(zorya_table_am_handler) {
  PG_RETURN_POINTER(zorya::query_processor::table_am());
}
