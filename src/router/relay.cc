// Where a session stands, and what is answered in the backend's place. The two ways of messages are
// relay_client.cc and relay_backend.cc.
#include "router/relay.h"

#include "base/random.h"
#include "query_processor/gate/router_word.h"
#include "router/error_map.h"
#include "router/loss.h"

#include <algorithm>

namespace zorya::router {
namespace {

namespace gate = query_processor::gate;
using pgwire::ErrorReport;
using pgwire::TransactionStatus;
using Kind = Awaited::Kind;

std::string failing_text(Cause cause) {
  return std::string(Relay::own_word()) +
         std::string(cause == Cause::kAge ? gate::kForAge : gate::kForSchemaChange);
}

}  // namespace

/// No client can know it, so that errors about it are told from errors of theirs.
std::string_view Relay::own_word() {
  static const std::string word = "zorya_" + base::random_alphanumeric(16);
  return word;
}

Relay::Stance Relay::stance() const {
  if (!has_backend_ || doom_.phase() != Doom::Phase::kNone) return Stance::kIdle;
  if (copying_in_) return Stance::kCopyIn;
  if (awaited_.is_open()) return awaited_.is_skipping() ? Stance::kIdle : Stance::kOpen;
  if (!awaited_.empty()) return Stance::kBusy;
  return status_ == TransactionStatus::kInBlock ? Stance::kInTransaction : Stance::kIdle;
}

/// Can what is sent now commit something? A statement in a block cannot, unless the block's end is
/// ahead of it.
bool Relay::may_commit() const { return status_ == TransactionStatus::kIdle || end_may_be_ahead(); }

void Relay::fail_transaction(Cause cause, Reason reason, std::string& to_backend) {
  was_open_ = awaited_.is_open();
  failed_on_its_own_ = false;
  reason_ = std::move(reason);
  doom_.begin_failing();
  awaited_.add({.kind = Kind::kOwnQuery, .may_commit = false});
  pgwire::append_query(to_backend, failing_text(cause));
  if (!was_open_) return;
  // If one of the client's messages fails meanwhile, the backend skips our query: the Sync is
  // answered in any case.
  awaited_.add({.kind = Kind::kOwnSync, .may_commit = false});
  pgwire::append_message(to_backend, 'S', {});
}

bool Relay::awaits_own() const {
  return std::any_of(awaited_.entries().begin(), awaited_.entries().end(),
                     [](const Awaited::Entry& entry) {
                       return entry.kind == Kind::kOwnQuery || entry.kind == Kind::kOwnSync;
                     });
}

void Relay::finish_failing() {
  const bool in_block = status_ != TransactionStatus::kIdle;
  if (failed_on_its_own_) {
    doom_.become_skipping(in_block ? TransactionStatus::kFailed : TransactionStatus::kIdle);
  } else if (in_block || was_open_) {
    doom_.become_untold(in_block);
  } else {
    doom_.end();
  }
}

void Relay::fail_copy(Cause cause, Reason reason, std::string& to_backend) {
  expect_cancel(std::move(reason));
  cancel_sent_ = true;
  copy_ended_by_client();
  pgwire::append_message(to_backend, 'f', failing_text(cause) + '\0');
}

void Relay::expect_cancel(Reason reason) {
  reason_ = std::move(reason);
  cancel_expected_ = true;
  cancel_sent_ = false;
}

void Relay::cancel_was_sent(bool sent) {
  cancel_sent_ = true;
  if (!sent || awaited_.empty()) cancel_expected_ = cancel_sent_ = false;
}

void Relay::tell(std::string& out, const Reason& reason) {
  const ErrorReport report = reason();
  if (report.sqlstate != server_unavailable().sqlstate) ++counts_.told;
  pgwire::append_error(out, report);
}

bool Relay::lose_backend(const Reason& reason, std::string& to_client) {
  if (!backend_cutter_.passed_whole()) return false;
  backend_cutter_.reset();
  client_cutter_.drop_rest();
  memory_.drop_unsettled();
  if (holds_client()) {
    const bool may_have_committed = was_open_ && end_may_be_ahead();
    if (may_have_committed && !failed_on_its_own_) {
      pgwire::append_error(to_client, server_unavailable());
      failed_on_its_own_ = true;
    }
    finish_failing();
  } else if (!doom_.answers()) {
    answer_awaited(reason, to_client);
  }
  awaited_.clear();
  has_backend_ = copying_in_ = changes_schema_ = end_ahead_ = end_is_bound_ = false;
  cancel_expected_ = cancel_sent_ = aborted_ = aged_ = false;
  if (status_ == TransactionStatus::kInBlock) status_ = TransactionStatus::kFailed;
  return true;
}

void Relay::refuse_without_backend(std::string& to_client) {
  answer_awaited([] { return server_unavailable(); }, to_client);
  awaited_.clear();
  if (status_ == TransactionStatus::kInBlock) status_ = TransactionStatus::kFailed;
}

void Relay::answer_awaited(const Reason& reason, std::string& to_client) {
  const AfterLoss after = router::answer_awaited(
      awaited_,
      {.status = status_, .end_may_be_ahead = end_may_be_ahead(), .said_aborted = aborted_},
      [&](std::string& out) { tell(out, reason); }, to_client);
  status_ = after.status;
  if (after.then == AfterLoss::Then::kSkips) doom_.become_skipping(status_);
  if (after.then == AfterLoss::Then::kUntold) {
    reason_ = reason;
    doom_.become_untold(true);
  }
}

}  // namespace zorya::router
