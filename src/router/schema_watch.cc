#include "router/schema_watch.h"

#include "router/session.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace zorya::router {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kFirstLook = 3ms;  // most schema changes are done by then
constexpr std::chrono::milliseconds kPeriod = 2ms;
// Ten attempts have waited for what they need by then: what runs on works, and may wait once more.
constexpr std::chrono::milliseconds kLong = 600ms;
constexpr std::chrono::milliseconds kLongPeriod = 10ms;
constexpr std::chrono::seconds kKeepLink = 60s;

std::chrono::milliseconds between(std::chrono::steady_clock::time_point from,
                                  std::chrono::steady_clock::time_point to) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(to - from);
}

}  // namespace

SchemaWatch::SchemaWatch(Shared* shared, std::string cluster_id)
    : shared_(shared), cluster_id_(std::move(cluster_id)), timer_(shared->context) {}

SchemaWatch::Time SchemaWatch::now() const { return shared_->options.clock->steady_now(); }

void SchemaWatch::add(const std::shared_ptr<Session>& session,
                      const std::filesystem::path& socket_path) {
  if (stopped_) return;
  socket_path_ = socket_path;
  waiters_.push_back({session, now()});
  if (running_) return;
  running_ = true;
  timer_.cancel();
  asio::co_spawn(shared_->context, run(shared_from_this()), asio::detached);
}

void SchemaWatch::stop() {
  stopped_ = true;
  timer_.cancel();
  if (link_) link_->close();
}

asio::awaitable<void> SchemaWatch::pause(std::chrono::milliseconds time) {
  timer_.expires_after(time);
  co_await timer_.async_wait(kAwait);
}

/// The process ids of the backends that run a schema change; forgets those that are done.
std::vector<std::uint32_t> SchemaWatch::waiting() {
  std::vector<std::uint32_t> out;
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    const auto session = it->session.lock();
    if (!session || !session->changes_schema()) {
      it = waiters_.erase(it);
      continue;
    }
    if (between(it->begun, now()) >= kFirstLook) out.push_back(session->backend_pid());
    ++it;
  }
  return out;
}

asio::awaitable<void> SchemaWatch::run(Self self) {
  co_await self->pause(kFirstLook);
  bool goes_on = true;
  while (goes_on && !self->stopped_) {
    goes_on = co_await self->round();
    if (self->waiters_.empty()) break;
    const bool is_long = between(self->waiters_.back().begun, self->now()) > kLong;
    co_await self->pause(is_long ? kLongPeriod : kPeriod);
  }
  self->waiters_.clear();
  self->wounds_.clear();
  self->running_ = false;
  if (!self->stopped_) self->close_when_idle();
}

/// The connection is kept for the next schema change, for a while.
void SchemaWatch::close_when_idle() {
  timer_.expires_after(kKeepLink);
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || !self || self->running_ || !self->link_) return;
    self->link_->close();
    self->link_.reset();
  });
}

/// Asks once and acts on the answer. False if it cannot ask: then the waits end by their bound.
asio::awaitable<bool> SchemaWatch::round() {
  const std::vector<std::uint32_t> waiters = waiting();
  if (waiters.empty()) co_return true;
  if (!link_ || !link_->is_open()) {
    link_ = std::make_shared<ControlLink>(shared_->context, socket_path_);
    if (!co_await link_->open()) {
      shared_->log.write("cluster " + cluster_id_ +
                             ": cannot see who holds up a schema change; it may end with OC001",
                         now());
      co_return false;
    }
  }
  const auto holders = co_await link_->lock_holders(waiters);
  if (!holders) co_return true;  // once more, by a new connection
  begin_wounds();
  for (const auto& holder : *holders) {
    if (stopped_) co_return false;
    co_await wound(holder);
  }
  end_wounds();
  co_return true;
}

void SchemaWatch::begin_wounds() {
  for (auto& [pid, wound] : wounds_) wound.seen = false;
}

/// Who holds up nobody now begins anew when it does.
void SchemaWatch::end_wounds() {
  std::erase_if(wounds_, [](const auto& entry) { return !entry.second.seen; });
}

asio::awaitable<void> SchemaWatch::wound(ControlLink::LockHolder holder) {
  const auto session = shared_->find_backend(cluster_id_, holder.holder);
  Wound& wound = wounds_[holder.holder];
  if (wound.seen) co_return;  // it holds up two of them
  wound.seen = true;
  const auto at = now();
  Holder view;
  view.is_session = session != nullptr;
  // A background job gives way to a cancel as autovacuum does, and is done again.
  view.is_autovacuum = holder.kind == "autovacuum worker" || holder.kind == "zorya job worker";
  view.waits_for_client = holder.wait == "ClientRead";
  view.waits_to_write = holder.wait == "ClientWrite";
  view.last = wound.last;
  if (wound.last != Verb::kNone) {
    view.since_first = between(wound.first_at, at);
    view.since_last = between(wound.last_at, at);
  }
  if (session) {
    view.stance = session->stance();
    view.may_tell = session->may_tell_backend();
    session->drain();
  }
  const Verb verb = choose_verb(view);
  if (verb == Verb::kNone) co_return;
  if (wound.last == Verb::kNone) wound.first_at = at;
  wound.last = verb;
  wound.last_at = at;
  switch (verb) {
    case Verb::kNone:
      break;
    case Verb::kFail:
      session->fail_transaction(Cause::kSchemaChange);
      break;
    case Verb::kFailCopy:
      session->fail_copy(Cause::kSchemaChange);
      break;
    case Verb::kCancel:
      co_await cancel(std::move(holder), session);
      break;
    case Verb::kTerminate:
      co_await terminate(std::move(holder), session);
      break;
  }
}

/// The session knows of it before it can feel it.
asio::awaitable<void> SchemaWatch::cancel(ControlLink::LockHolder holder,
                                          std::shared_ptr<Session> session) {
  if (session) session->expect_cancel(catalogue_conflict);
  const bool sent =
      co_await link_->end_holder(holder.waiter, holder.holder, ControlLink::How::kCancel);
  if (!session) co_return;
  session->cancel_was_sent(sent);
  session->drain();
}

asio::awaitable<void> SchemaWatch::terminate(ControlLink::LockHolder holder,
                                             std::shared_ptr<Session> session) {
  if (session) session->expect_termination(true);
  const bool sent =
      co_await link_->end_holder(holder.waiter, holder.holder, ControlLink::How::kTerminate);
  if (!sent && session) session->expect_termination(false);
}

}  // namespace zorya::router
