#include "query_processor/backend.h"
#include "query_processor/pg/server.h"
#include "query_processor/shared_state.h"

extern "C" {
#include "access/htup_details.h"
#include "funcapi.h"
}

namespace zorya::query_processor {
namespace {

constexpr int kColumnCount = 10;

void fill(Datum* values) {
  const adjudicator::RecentKeysFigures recent = recent_keys_figures();
  const std::uint64_t figures[kColumnCount] = {
      counters().committed,        counters().conflicts,
      counters().no_room,          counters().apply_failures,
      counters().rows_updated_hot, counters().rows_updated,
      counters().rows_deleted,     recent.key_count,
      recent.size_bytes_used,      recent.whole_commit_count};
  for (int i = 0; i < kColumnCount; ++i)
    values[i] = Int64GetDatum(static_cast<std::int64_t>(figures[i]));
}

}  // namespace
}  // namespace zorya::query_processor

/// One row: the counters of the server and the figures of the table of recent keys. For the owner.
ZORYA_SQL_FUNCTION(zorya_commit_stats) {
  TupleDesc descriptor = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE ||
      descriptor->natts != zorya::query_processor::kColumnCount) {
    elog(ERROR, "commit_stats has another result than its code");
  }
  Datum values[zorya::query_processor::kColumnCount];
  bool nulls[zorya::query_processor::kColumnCount] = {};
  zorya::query_processor::fill(values);
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
