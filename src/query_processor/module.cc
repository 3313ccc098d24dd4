#include "query_processor/gate/gate.h"
#include "query_processor/pg/server.h"

extern "C" {
#include "access/heapam.h"
#include "access/tableam.h"
#include "miscadmin.h"
}

#pragma GCC visibility push(default)
extern "C" {
PG_MODULE_MAGIC;
void _PG_init();
}
#pragma GCC visibility pop

ZORYA_SQL_FUNCTION(zorya_table_am_handler) { PG_RETURN_POINTER(GetHeapamTableAmRoutine()); }

extern "C" void _PG_init() {
  if (!process_shared_preload_libraries_in_progress) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("zorya_query_processor must be in shared_preload_libraries")));
  }
  zorya::query_processor::gate::install();
}
