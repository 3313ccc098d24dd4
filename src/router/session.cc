#include "router/session.h"

#include "base/log.h"
#include "iam/digest.h"
#include "net/socket.h"
#include "pgwire/frame.h"
#include "router/error_map.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <sys/socket.h>

#include <array>
#include <exception>

namespace zorya::router {
namespace {

using namespace std::chrono_literals;
using pgwire::ErrorReport;

constexpr std::size_t kKeptBufferBytes = 4 << 10;
constexpr std::size_t kLingerBytesMax = 16 << 20;
constexpr std::chrono::seconds kLastWordsTime = 2s;

/// A big message leaves a big buffer behind; an idle session does not hold it.
void empty(std::string& buffer) {
  if (buffer.capacity() > kKeptBufferBytes) {
    buffer = {};
  } else {
    buffer.clear();
  }
}

/// The time taken tells nothing of the secret.
bool is_same_secret(std::uint32_t a, std::uint32_t b) {
  const auto bytes = [](const std::uint32_t& value) {
    return std::string_view(reinterpret_cast<const char*>(&value), sizeof value);
  };
  return iam::equal_in_constant_time(bytes(a), bytes(b));
}

/// Where a coroutine ends: what a library threw in it (nothing of ours throws) ends the session.
auto at_end(std::shared_ptr<Session> session) {
  return [session = std::move(session)](const std::exception_ptr& thrown) {
    if (!thrown) return;
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& exception) {
      base::log(base::LogLevel::kError, "router", exception.what());
    }
    session->drop();
  };
}

}  // namespace

void Session::begin(Shared* shared, base::UniqueFd socket, std::string origin,
                    std::shared_ptr<void> lease) {
  net::prepare_stream(socket.get());
  ++shared->accepted;
  while (shared->half_open.size() >= shared->options.limits.half_open_max) {
    const auto oldest = shared->half_open.front().lock();
    CHECK(oldest, "a session that is gone is still listed");
    oldest->log_refusal("too many connections that do not log in; the oldest goes");
    oldest->drop();
    oldest->leave_half_open();
  }
  auto self =
      std::make_shared<Session>(shared, std::move(socket), std::move(origin), std::move(lease));
  self->half_open_place_ = shared->half_open.insert(shared->half_open.end(), self);
  self->set_deadline(shared->options.limits.login_deadline);
  asio::co_spawn(shared->context, serve(self), at_end(self));
}

Session::Session(Shared* shared, base::UniqueFd socket, std::string origin,
                 std::shared_ptr<void> lease)
    : shared_(shared),
      lease_(std::move(lease)),
      origin_(std::move(origin)),
      id_(make_session_id()),
      client_(shared_->context, std::move(socket)),
      deadline_(shared_->context),
      turn_(shared_->context, asio::steady_timer::time_point::max()),
      released_(shared_->context, asio::steady_timer::time_point::max()) {}

Session::~Session() {
  leave_half_open();
  if (session_place_) shared_->sessions.erase(*session_place_);
  if (cancel_id_ != 0) shared_->cancel_targets.erase(cancel_id_);
  forget_backend();
  if (load_ != nullptr) --load_->connections;
}

void Session::leave_half_open() {
  if (half_open_place_) shared_->half_open.erase(*half_open_place_);
  half_open_place_.reset();
}

void Session::log_refusal(std::string_view what) {
  shared_->log.write(origin_ + ": " + std::string(what) + " (session " + id_ + ")",
                     shared_->options.clock->steady_now());
}

/// The timer holds no reference to the session: when it fires for one that is gone, nothing
/// happens.
void Session::set_deadline(std::chrono::seconds from_now) {
  deadline_.expires_after(from_now);
  deadline_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || !self) return;
    if (self->session_place_ && !self->last_words_) {
      self->end({.severity = "FATAL",
                 .sqlstate = "57P01",
                 .message = "terminating connection due to maximum session duration"});
    } else {
      if (self->half_open_place_) self->log_refusal("did not log in in time");
      self->drop();
    }
  });
}

void Session::end(ErrorReport report) {
  if (last_words_) return;
  last_words_ = std::move(report);
  if (!session_place_) {
    drop();
    return;
  }
  // The reader of the backend sees its end and says the last words; the deadline ends a client that
  // does not listen.
  set_deadline(kLastWordsTime);
  if (!backend_) {
    asio::co_spawn(shared_->context, say_last_words(shared_from_this()),
                   at_end(shared_from_this()));
    return;
  }
  if (relay_->is_busy()) cancel_abandoned();
  if (backend_->is_open()) ::shutdown(backend_->fd(), SHUT_RDWR);
}

void Session::drop() {
  client_.close();
  if (backend_) backend_->close();
  turn_.cancel();
  released_.cancel();
}

asio::awaitable<void> Session::serve(Self self) {
  const bool ok = co_await self->log_in();
  if (!ok || self->shared_->stopping) {
    if (self->refusal_) {
      std::string out;
      pgwire::append_error(out, *self->refusal_);
      co_await self->client_.write_all(out);
    }
    co_await self->client_.linger(kLingerBytesMax);
    self->drop();
    self->deadline_.cancel();
    co_return;
  }
  self->leave_half_open();
  self->session_place_ =
      self->shared_->sessions.insert(self->shared_->sessions.end(), self->weak_from_this());
  self->set_deadline(self->shared_->options.limits.session_life);
  asio::co_spawn(self->shared_->context, relay_from_client(self), at_end(self));
  asio::co_spawn(self->shared_->context, relay_from_backend(self, self->backend_), at_end(self));
}

/// A client's CancelRequest, which comes on a connection of its own. There is no answer but the end
/// of the connection, which the client waits for: so the backend's own end is waited for first.
asio::awaitable<void> Session::cancel(pgwire::BackendKey key) {
  const auto found = shared_->cancel_targets.find(key.process_id);
  if (found == shared_->cancel_targets.end() || !is_same_secret(found->second.secret, key.secret)) {
    log_refusal("cancel request with a wrong key");
    co_return;
  }
  const CancelTarget target = found->second;
  auto socket = net::connect_unix(target.socket_path);
  if (!socket) co_return;
  backend_ = std::make_shared<ByteStream>(shared_->context, std::move(*socket));
  const std::string request = pgwire::print_cancel_request(target.backend_key);
  if (!co_await backend_->write_all(request)) co_return;
  std::array<char, 16> nothing;
  co_await backend_->read_some(nothing);
}

/// The client has gone with a statement running: nobody waits for it any more.
void Session::cancel_abandoned() {
  const auto found = shared_->cancel_targets.find(cancel_id_);
  if (found == shared_->cancel_targets.end()) return;
  auto socket = net::connect_unix(found->second.socket_path);
  if (!socket) return;
  const std::string request = pgwire::print_cancel_request(found->second.backend_key);
  // Sixteen bytes into an empty socket buffer go at once or not at all.
  [[maybe_unused]] const ssize_t sent =
      ::send(socket->get(), request.data(), request.size(), MSG_NOSIGNAL);
}

asio::awaitable<void> Session::relay_from_client(Self self) {
  RelayStatus status = RelayStatus::kGoesOn;
  while (status == RelayStatus::kGoesOn) {
    auto& buffer = self->shared_->buffer;
    const std::size_t size = co_await self->client_.read_some(buffer);
    if (size == 0) break;
    std::string held;  // the buffer is everybody's
    std::string_view in(buffer.data(), size);
    if (self->relay_->holds_client()) {
      held = in;
      in = held;
      while (self->relay_->holds_client() && self->client_.is_open()) {
        co_await self->released_.async_wait(kAwait);
      }
    }
    status = co_await self->take_from_client(in);
  }
  if (status == RelayStatus::kRefused) {
    self->log_refusal("refused: " + self->relay_->refusal().message);
    self->end(self->relay_->refusal());
    co_return;
  }
  if (status == RelayStatus::kTerminated) self->client_said_goodbye_ = true;
  if (self->last_words_) co_return;
  if (!self->client_.is_open() || !self->backend_ || !self->backend_->is_open()) {
    self->drop();
    self->deadline_.cancel();
    co_return;
  }
  // The backend ends, and its reader sees that.
  ::shutdown(self->backend_->fd(), SHUT_WR);
  if (self->client_said_goodbye_) co_return;
  if (self->relay_->is_busy()) self->cancel_abandoned();
  self->drop();
}

/// Passes on what the client sent, and first answers what needs no backend.
asio::awaitable<RelayStatus> Session::take_from_client(std::string_view in) {
  last_heard_ = shared_->options.clock->steady_now();
  if (relay_->transaction_status() == pgwire::TransactionStatus::kIdle) {
    transaction_begun_ = last_heard_;
  }
  std::string to_backend;
  std::string to_client;
  to_backend.reserve(in.size());
  const std::uint64_t losses = loss_count_;
  const RelayStatus status = relay_->from_client(in, to_backend, to_client);
  // From here on nothing of ours may come before it.
  backend_is_written_ = !to_backend.empty();
  if (!to_client.empty() && !co_await write_client(to_client)) co_return status;
  // What the backend was lost before has been answered by then.
  if (backend_is_written_ && losses == loss_count_ &&
      (backend_ || status == RelayStatus::kGoesOn)) {
    co_await write_backend(to_backend);
  }
  backend_is_written_ = false;
  co_return status;
}

/// A backend that is gone: its reader sees that too, and tells the client.
asio::awaitable<void> Session::write_backend(std::string_view data) {
  if (!backend_) {
    std::string to_client;
    const bool restored = co_await restore_backend(&to_client);
    if (!restored) relay_->refuse_without_backend(to_client);
    if (!to_client.empty()) co_await write_client(to_client);
    if (!restored && last_words_) co_await say_last_words(shared_from_this());
    if (!restored) co_return;
    asio::co_spawn(shared_->context, relay_from_backend(shared_from_this(), backend_),
                   at_end(shared_from_this()));
  }
  const auto backend = backend_;
  co_await backend->write_all(data);
}

/// One writer at a time: the backend's reader, and what we answer ourselves.
asio::awaitable<bool> Session::write_client(std::string_view data) {
  while (client_is_written_ && client_.is_open()) co_await turn_.async_wait(kAwait);
  if (!client_.is_open()) co_return false;
  client_is_written_ = true;
  const bool ok = co_await client_.write_all(data);
  client_is_written_ = false;
  turn_.cancel();
  co_return ok;
}

/// What was drained meanwhile follows. Empties `data`.
asio::awaitable<bool> Session::pass_to_client(std::string* data) {
  bool ok = true;
  passing_ = true;
  while (ok && !data->empty()) {
    ok = co_await write_client(*data);
    empty(*data);
    data->swap(drained_);
  }
  passing_ = false;
  co_return ok;
}

asio::awaitable<void> Session::relay_from_backend(Self self, std::shared_ptr<ByteStream> backend) {
  std::string to_client;
  bool is_broken = false;
  while (!is_broken) {
    auto& buffer = self->shared_->buffer;
    const std::size_t size = co_await backend->read_some(buffer);
    if (size == 0 || self->last_words_) break;
    to_client.reserve(size);
    const RelayStatus status = self->relay_->from_backend({buffer.data(), size}, to_client);
    if (status == RelayStatus::kDropped) {
      self->client_said_goodbye_ = true;  // nothing is said to it
      break;
    }
    is_broken = status != RelayStatus::kGoesOn;
    self->after_backend();
    if (!co_await self->pass_to_client(&to_client)) break;
    is_broken = is_broken || self->drained_broken_;
  }
  co_await self->end_backend(std::move(backend), is_broken);
}

/// What a message of the backend's changes for others: a client that waits, a schema change that
/// may want locks, a transaction whose age is to be watched.
void Session::after_backend() {
  if (!relay_->holds_client()) released_.cancel();
  if (relay_->takes_schema_change()) {
    auto& watch = shared_->watches[cluster_id_];
    if (!watch) watch = std::make_shared<SchemaWatch>(shared_, cluster_id_);
    watch->add(shared_from_this(), shared_->cancel_targets[cancel_id_].socket_path);
  }
  if (!shared_->watches_ages && !shared_->stopping && relay_->is_waiting_in_transaction()) {
    shared_->watches_ages = true;
    asio::co_spawn(shared_->context, watch_ages(shared_), asio::detached);
  }
}

/// The backend has ended: the session goes on without it, if it can.
asio::awaitable<void> Session::end_backend(std::shared_ptr<ByteStream> backend, bool is_broken) {
  const bool client_is_there = client_.is_open() && !client_said_goodbye_;
  std::string to_client;
  if (client_is_there && !last_words_ && !is_broken && !relay_->has_told_fatal() &&
      relay_->lose_backend(loss_reason(), to_client)) {
    if (termination_expected_) {
      relay_->forget_catalogue_seen();  // its client is told of the change by us
    } else {
      ++shared_->losses.backends_lost;
      log_refusal("the backend is gone");
    }
    termination_expected_ = false;
    ++loss_count_;
    backend->close();
    if (backend_ == backend) backend_.reset();
    forget_backend();
    released_.cancel();
    if (!to_client.empty()) co_await write_client(to_client);
    co_return;
  }
  if (client_is_there && !last_words_) {
    last_words_ = server_unavailable("FATAL");
    log_refusal("the backend is gone");
  }
  if (client_is_there) set_deadline(kLastWordsTime);
  co_await say_last_words(shared_from_this());
}

asio::awaitable<void> Session::say_last_words(Self self) {
  if (self->client_.is_open() && !self->client_said_goodbye_ && self->last_words_) {
    if (self->relay_->may_tell_client() && !self->relay_->has_told_fatal()) {
      std::string to_client;
      pgwire::append_error(to_client, *self->last_words_);
      co_await self->write_client(to_client);
    }
    co_await self->client_.linger(kLingerBytesMax);
  }
  self->drop();
  self->deadline_.cancel();
}

}  // namespace zorya::router
