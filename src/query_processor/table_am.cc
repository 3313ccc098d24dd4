#include "query_processor/table_am.h"

extern "C" {
#include "access/heapam.h"
#include "utils/rel.h"
}

namespace zorya::query_processor {
namespace {

TableAmRoutine routine;
// Of a scan, through the write set.
decltype(routine.scan_getnextslot) next_through_write_set = nullptr;

}  // namespace

const TableAmRoutine* heap_routine = nullptr;

void install_table_am() {
  heap_routine = GetHeapamTableAmRoutine();
  routine = *heap_routine;
  set_read_members(&routine);
  set_write_members(&routine);
  set_lock_members(&routine);
  set_ddl_members(&routine);
  next_through_write_set = routine.scan_getnextslot;
  scan_through_write_set(false);
}

const TableAmRoutine* table_am() { return &routine; }
void scan_through_write_set(bool yes) {
  routine.scan_getnextslot = yes ? next_through_write_set : heap_routine->scan_getnextslot;
}
bool is_our_table(Relation relation) { return relation->rd_tableam == &routine; }

}  // namespace zorya::query_processor

ZORYA_SQL_FUNCTION(zorya_table_am_handler) {
  PG_RETURN_POINTER(zorya::query_processor::table_am());
}
