#include "router/loss.h"

#include "router/error_map.h"

namespace zorya::router {
namespace {

using pgwire::SqlWord;
using pgwire::TransactionStatus;
using Kind = Awaited::Kind;

pgwire::ErrorReport in_failed_transaction() {
  return {
      .sqlstate = "25P02",
      .message = "current transaction is aborted, commands ignored until end of transaction block"};
}

/// Is it certain that nothing of what it had to answer was committed?
bool is_certainly_lost(const Awaited& awaited, const BeforeLoss& before) {
  if (!awaited.may_commit() && !(awaited.ends_open() && before.end_may_be_ahead)) return true;
  // It said at its end that a transaction did not commit. Which one, is clear if it had only one.
  if (!before.said_aborted || awaited.unit_count() != 1) return false;
  const Awaited::Entry& last = awaited.entries().back();
  return last.kind == Kind::kQuery ? !last.is_batch : !before.end_may_be_ahead;
}

}  // namespace

AfterLoss answer_awaited(const Awaited& awaited, const BeforeLoss& before,
                         const std::function<void(std::string&)>& tell, std::string& to_client) {
  const bool is_lost = is_certainly_lost(awaited, before);
  bool in_block = before.status != TransactionStatus::kIdle;
  bool failed = before.status == TransactionStatus::kFailed;
  bool skipping = awaited.is_skipping();
  bool is_open = false;
  const auto fail = [&] {
    if (!is_lost) {
      pgwire::append_error(to_client, server_unavailable());
    } else if (failed && in_block) {
      pgwire::append_error(to_client, in_failed_transaction());
    } else {
      tell(to_client);
    }
    failed = true;
  };
  const auto current = [&] {
    return in_block ? TransactionStatus::kFailed : TransactionStatus::kIdle;
  };
  for (const Awaited::Entry& entry : awaited.entries()) {
    switch (entry.kind) {
      case Kind::kExtended:
      case Kind::kDescribe:
      case Kind::kDescribeAsync:
        is_open = true;
        break;
      case Kind::kSync:
        if (!skipping) fail();
        skipping = is_open = false;
        pgwire::append_ready_for_query(to_client, current());
        break;
      case Kind::kQuery:
      case Kind::kRefusedCall:
        if (is_lost && in_block && pgwire::ends_block(entry.word) &&
            (failed || entry.word == SqlWord::kRollback)) {
          pgwire::append_message(to_client, 'C', std::string_view("ROLLBACK\0", 9));
        } else {
          fail();
        }
        in_block = in_block && !pgwire::ends_block(entry.word);
        pgwire::append_ready_for_query(to_client, current());
        break;
      case Kind::kOwnQuery:
      case Kind::kOwnSync:
        break;
    }
  }
  using Then = AfterLoss::Then;
  if (is_open) {
    // Who asked by Flush waits for an answer.
    if (!skipping) fail();
    return {current(), Then::kSkips};
  }
  return {current(), in_block && !failed ? Then::kUntold : Then::kNothing};
}

}  // namespace zorya::router
