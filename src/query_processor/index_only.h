#pragma once

#include "query_processor/pg/server.h"

extern "C" {
#include "executor/execdesc.h"
}

namespace zorya::query_processor {

/// Index-only and bitmap scans do not look at rows of pages that are all visible, so they would
/// show rows that the write set hides. Makes the scans of a started query look. Only what is hidden
/// at its start matters: what comes later has a command id that the query does not see. A plain
/// frame.
void hide_rows_from_index_only_scans(QueryDesc* query);

}  // namespace zorya::query_processor
