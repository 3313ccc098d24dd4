#include "query_processor/limits.h"

#include "query_processor/backend.h"
#include "query_processor/errors.h"
#include "query_processor/forced_outcomes.h"
#include "query_processor/session.h"
#include "query_processor/settings.h"

extern "C" {
#include "access/xact.h"
#include "utils/timestamp.h"
}

namespace zorya::query_processor {
namespace {

void hold_age(TimestampTz now) {
  if (!is_client_session()) return;
  const TimestampTz age_us =
      now - GetCurrentTransactionStartTimestamp() + forced_age_s * USECS_PER_SEC;
  const int age_s_max = settings().transaction_age_s_max;
  if (age_us > static_cast<TimestampTz>(age_s_max) * USECS_PER_SEC)
    raise_age_limit(age_us / USECS_PER_SEC, age_s_max);
}

}  // namespace

void check_room_for_rows(int count) {
  const auto rows = backend->write_set.row_count() + static_cast<std::uint32_t>(count);
  if (rows > static_cast<std::uint32_t>(settings().transaction_rows_max) && is_client_session())
    raise_row_limit();
}

void check_room_for_mark() {
  const auto marks = backend->write_set.mark_count();
  if (marks >= static_cast<std::uint32_t>(settings().transaction_marks_max) && is_client_session())
    raise_row_limit();
}

void check_transaction_age() { hold_age(GetCurrentStatementStartTimestamp()); }

void check_age_at_commit() { hold_age(GetCurrentTimestamp()); }

void check_isolation_level() {
  switch (XactIsoLevel) {
    case XACT_REPEATABLE_READ:
      return;
    case XACT_READ_UNCOMMITTED:
      raise_isolation_level("READ UNCOMMITTED");
    case XACT_READ_COMMITTED:
      raise_isolation_level("READ COMMITTED");
    default:
      raise_isolation_level("SERIALIZABLE");
  }
}

}  // namespace zorya::query_processor
