// How the session router ends what only a signal reaches, counted as it is done.
#include "query_processor/wounds.h"

#include "query_processor/pg/server.h"
#include "query_processor/shared_state.h"

extern "C" {
#include "utils/array.h"
#include "utils/fmgrprotos.h"
}

namespace zorya::query_processor {
namespace {

/// As pg_blocking_pids says: by a lock that it holds, or by standing ahead in the queue.
bool holds_up(std::int32_t holder, std::int32_t waiter) {
  ArrayType* holders =
      DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(waiter)));
  const auto* begin = reinterpret_cast<const std::int32_t*>(ARR_DATA_PTR(holders));
  const int count = ArrayGetNItems(ARR_NDIM(holders), ARR_DIMS(holders));
  return std::find(begin, begin + count, holder) != begin + count;
}

}  // namespace
}  // namespace zorya::query_processor

/// sys.end_lock_holder(waiter, holder, terminate): cancels or terminates `holder` if it still holds
/// up `waiter`; whether that was done.
ZORYA_SQL_FUNCTION(zorya_end_lock_holder) {
  namespace qp = zorya::query_processor;
  const std::int32_t waiter = PG_GETARG_INT32(0);
  const std::int32_t holder = PG_GETARG_INT32(1);
  const bool terminates = PG_GETARG_BOOL(2);
  if (!qp::holds_up(holder, waiter)) PG_RETURN_BOOL(false);
  const Datum sent = terminates ? DirectFunctionCall2(pg_terminate_backend, Int32GetDatum(holder),
                                                      Int64GetDatum(0))
                                : DirectFunctionCall1(pg_cancel_backend, Int32GetDatum(holder));
  if (DatumGetBool(sent)) {
    ++qp::wounds(terminates ? qp::Wound::kTerminated : qp::Wound::kCancelled);
  }
  PG_RETURN_DATUM(sent);
}
