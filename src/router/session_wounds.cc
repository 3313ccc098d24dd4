#include "router/error_map.h"
#include "router/session.h"

#include <sys/socket.h>

#include <algorithm>

// What is done to a session's transaction from outside.
namespace zorya::router {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kDrainedBytesMax = 1 << 20;
constexpr std::chrono::milliseconds kAgePeriodMax = 1000ms;
constexpr int kAgeChecks = 8;  // within the limit

std::chrono::seconds whole_seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time);
}

}  // namespace

std::shared_ptr<Session> Shared::find_backend(const std::string& cluster_id,
                                              std::uint32_t process_id) {
  const auto found = backends.find({cluster_id, process_id});
  return found == backends.end() ? nullptr : found->second->weak_from_this().lock();
}

bool Session::may_tell_backend() const {
  return backend_ && backend_->is_open() && !backend_is_written_ && relay_->may_tell_backend();
}

/// A backend that does not take a few bytes now is of no use any more: its end is a loss like
/// another, and is told with the same reason.
bool Session::send_now(std::string_view data) {
  if (backend_->write_now(data)) return true;
  termination_expected_ = true;
  ::shutdown(backend_->fd(), SHUT_RDWR);
  return false;
}

void Session::fail_transaction(Cause cause) {
  std::string out;
  relay_->fail_transaction(cause, reason_of(cause), out);
  send_now(out);
}

void Session::fail_copy(Cause cause) {
  std::string out;
  relay_->fail_copy(cause, reason_of(cause), out);
  send_now(out);
}

void Session::expect_cancel(Reason reason) { relay_->expect_cancel(std::move(reason)); }

void Session::cancel_was_sent(bool sent) { relay_->cancel_was_sent(sent); }

void Session::drain() {
  if (!passing_ || !backend_) return;
  auto& buffer = shared_->buffer;
  while (drained_.size() < kDrainedBytesMax && !drained_broken_) {
    const std::size_t size = backend_->read_now(buffer);
    if (size == 0) break;
    drained_broken_ = relay_->from_backend({buffer.data(), size}, drained_) != RelayStatus::kGoesOn;
  }
  after_backend();
}

Reason Session::loss_reason() const {
  if (termination_expected_) return catalogue_conflict;
  if (relay_->has_aged()) return age_reason();
  return [] { return server_unavailable(); };
}

Reason Session::reason_of(Cause cause) const {
  return cause == Cause::kAge ? age_reason() : catalogue_conflict;
}

Reason Session::age_reason() const {
  return [begun = transaction_begun_, clock = shared_->options.clock,
          age_max = shared_->options.limits.transaction_age_max] {
    return transaction_too_old(whole_seconds(clock->steady_now() - begun), age_max);
  };
}

bool Session::check_age() {
  const auto age_max = shared_->options.limits.transaction_age_max;
  const auto now = shared_->options.clock->steady_now();
  const auto stance = relay_->stance();
  if (stance == Relay::Stance::kIdle) return false;
  if (stance == Relay::Stance::kBusy || now - transaction_begun_ < age_max) return true;
  if (!may_tell_backend()) return true;
  if (stance == Relay::Stance::kCopyIn) {
    // A COPY that is being sent is a statement that runs.
    if (now - last_heard_ < age_max) return true;
    fail_copy(Cause::kAge);
  } else {
    fail_transaction(Cause::kAge);
  }
  return true;
}

/// Runs while some session is in a transaction.
asio::awaitable<void> Session::watch_ages(Shared* shared) {
  const std::chrono::milliseconds age_max = shared->options.limits.transaction_age_max;
  const auto period = std::min(kAgePeriodMax, age_max / kAgeChecks + 1ms);
  bool goes_on = true;
  while (goes_on && !shared->stopping) {
    shared->age_timer.expires_after(period);
    co_await shared->age_timer.async_wait(kAwait);
    goes_on = false;
    for (const auto& weak : shared->sessions) {
      const auto session = weak.lock();
      if (session && session->check_age()) goes_on = true;
    }
  }
  shared->watches_ages = false;
}

}  // namespace zorya::router
