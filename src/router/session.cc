#include "router/session.h"

#include "base/log.h"
#include "iam/digest.h"
#include "net/socket.h"
#include "pgwire/frame.h"
#include "router/error_map.h"

#include <boost/asio/co_spawn.hpp>
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
      deadline_(shared_->context) {}

Session::~Session() {
  leave_half_open();
  if (session_place_) shared_->sessions.erase(*session_place_);
  if (cancel_id_ != 0) shared_->cancel_targets.erase(cancel_id_);
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
  if (relay_->is_busy()) cancel_abandoned();
  if (backend_->is_open()) ::shutdown(backend_->fd(), SHUT_RDWR);
}

void Session::drop() {
  client_.close();
  if (backend_) backend_->close();
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
  asio::co_spawn(self->shared_->context, relay_from_backend(self), at_end(self));
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
  backend_ = std::make_unique<ByteStream>(shared_->context, std::move(*socket));
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
  std::string to_backend;
  RelayStatus status = RelayStatus::kGoesOn;
  bool backend_takes = true;
  while (status == RelayStatus::kGoesOn && backend_takes) {
    auto& buffer = self->shared_->buffer;
    const std::size_t size = co_await self->client_.read_some(buffer);
    if (size == 0) break;
    to_backend.reserve(size);
    status = self->relay_->from_client({buffer.data(), size}, to_backend);
    backend_takes = co_await self->backend_->write_all(to_backend);
    empty(to_backend);
  }
  if (status == RelayStatus::kRefused) {
    self->log_refusal("refused: " + self->relay_->refusal().message);
    self->end(self->relay_->refusal());
    co_return;
  }
  if (status == RelayStatus::kTerminated) self->client_said_goodbye_ = true;
  // A backend that is gone: its reader sees that too, and tells the client.
  if (self->last_words_ || !backend_takes) co_return;
  if (!self->client_.is_open() || !self->backend_->is_open()) co_return;
  // The backend ends, and its reader sees that.
  ::shutdown(self->backend_->fd(), SHUT_WR);
  if (self->client_said_goodbye_) co_return;
  if (self->relay_->is_busy()) self->cancel_abandoned();
  self->drop();
}

asio::awaitable<void> Session::relay_from_backend(Self self) {
  std::string to_client;
  while (true) {
    auto& buffer = self->shared_->buffer;
    const std::size_t size = co_await self->backend_->read_some(buffer);
    if (size == 0 || self->last_words_) break;
    to_client.reserve(size);
    const RelayStatus status = self->relay_->from_backend({buffer.data(), size}, to_client);
    if (status == RelayStatus::kDropped) {
      self->client_said_goodbye_ = true;  // nothing is said to it
      break;
    }
    if (status != RelayStatus::kGoesOn) break;
    if (!co_await self->client_.write_all(to_client)) break;
    empty(to_client);
  }
  if (self->client_.is_open() && !self->client_said_goodbye_) {
    const bool must_tell = self->relay_->may_tell_client() && !self->relay_->has_told_fatal();
    if (!self->last_words_) {
      self->last_words_ = server_unavailable();
      self->log_refusal("the backend is gone");
    }
    self->set_deadline(kLastWordsTime);
    if (must_tell) {
      to_client.clear();
      pgwire::append_error(to_client, *self->last_words_);
      co_await self->client_.write_all(to_client);
    }
    co_await self->client_.linger(kLingerBytesMax);
  }
  self->drop();
  self->deadline_.cancel();
}

}  // namespace zorya::router
