#include "router/session.h"

#include "base/log.h"
#include "base/random.h"
#include "iam/digest.h"
#include "iam/dsql_token.h"
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

constexpr int kTlsHandshakeByte = 0x16;  // the first of a TLS ClientHello
constexpr std::uint32_t kPasswordBytesMax = 64 << 10;
constexpr std::size_t kKeptBufferBytes = 4 << 10;
constexpr std::size_t kLingerBytesMax = 16 << 20;
constexpr std::chrono::seconds kLastWordsTime = 2s;
constexpr std::chrono::milliseconds kRetryPause = 50ms;

/// A big message leaves a big buffer behind; an idle session does not hold it.
void empty(std::string& buffer) {
  if (buffer.capacity() > kKeptBufferBytes) {
    buffer = {};
  } else {
    buffer.clear();
  }
}

std::filesystem::path socket_path(const BackendTarget& target) {
  return target.socket_folder / ".s.PGSQL.5432";
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

/// Reads a backend's answers until it is ready for queries, or refuses the login.
class BackendGreeting {
 public:
  static bool wants(char /*type*/) { return true; }
  static bool begin(char /*type*/) { return false; }
  void pass(std::string_view /*run*/) {}

  bool take(const pgwire::Frame& frame) {
    switch (frame.type) {
      case 'R':
        if (frame.body == std::string_view("\0\0\0\0", 4)) return true;
        error_ = server_unavailable();
        reason_ = "the backend asks for a password";
        return false;
      case 'K':
        if (const auto key = pgwire::parse_backend_key_data(frame.body)) key_ = *key;
        return true;
      case 'E':
        return error(frame);
      case 'Z':
        status_ = pgwire::parse_ready_for_query(frame.body);
        return false;
      default:
        rest_.append(frame.whole);  // ParameterStatus and notices: the relay has rules for them
        return true;
    }
  }

  [[nodiscard]] bool is_starting() const { return starting_; }
  [[nodiscard]] const std::optional<ErrorReport>& error() const { return error_; }
  [[nodiscard]] const std::string& reason() const { return reason_; }
  [[nodiscard]] std::optional<pgwire::TransactionStatus> status() const { return status_; }
  [[nodiscard]] pgwire::BackendKey key() const { return key_; }
  [[nodiscard]] const std::string& rest() const { return rest_; }

 private:
  bool error(const pgwire::Frame& frame) {
    const auto fields = pgwire::ErrorFields::parse(frame.body);
    if (!fields) {
      error_ = server_unavailable();
      return false;
    }
    starting_ = (*fields)['C'] == "57P03";
    reason_ = (*fields)['M'];
    if (auto mapped = map_login_error(*fields)) {
      error_ = *mapped;
    } else {
      error_ = ErrorReport{.severity = std::string((*fields)['V']),
                           .sqlstate = std::string((*fields)['C']),
                           .message = std::string((*fields)['M']),
                           .detail = std::string((*fields)['D']),
                           .hint = std::string((*fields)['H'])};
    }
    return false;
  }

  std::string rest_;
  bool starting_ = false;
  std::optional<ErrorReport> error_;
  std::string reason_;
  std::optional<pgwire::TransactionStatus> status_;
  pgwire::BackendKey key_;
};

}  // namespace

void Session::begin(Shared* shared, base::UniqueFd socket, std::string origin) {
  net::prepare_stream(socket.get());
  ++shared->accepted;
  while (shared->half_open.size() >= shared->options.limits.half_open_max) {
    const auto oldest = shared->half_open.front().lock();
    CHECK(oldest, "a session that is gone is still listed");
    oldest->log_refusal("too many connections that do not log in; the oldest goes");
    oldest->drop();
    oldest->leave_half_open();
  }
  auto self = std::make_shared<Session>(shared, std::move(socket), std::move(origin));
  self->half_open_place_ = shared->half_open.insert(shared->half_open.end(), self);
  self->set_deadline(shared->options.limits.login_deadline);
  asio::co_spawn(shared->context, serve(self), at_end(self));
}

Session::Session(Shared* shared, base::UniqueFd socket, std::string origin)
    : shared_(shared),
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

asio::awaitable<bool> Session::log_in() {
  bool plain = true;
  if (const int first = co_await client_.peek(); first == kTlsHandshakeByte) {
    if (!co_await set_up_tls()) co_return false;
    plain = false;
    if (!client_.tls()->protocol_agreed()) {
      log_refusal("direct TLS without the protocol postgresql (ALPN)");
      co_return false;
    }
  }
  bool asked_for_gss = false;
  std::optional<pgwire::StartupPacket> packet;
  while (true) {
    packet = co_await read_startup();
    if (!packet) co_return false;
    if (packet->kind == pgwire::StartupKind::kSslRequest && plain) {
      if (!co_await client_.write_all("S") || !co_await set_up_tls()) co_return false;
      plain = false;
    } else if (packet->kind == pgwire::StartupKind::kGssEncryptionRequest && plain &&
               !asked_for_gss) {
      asked_for_gss = true;
      if (!co_await client_.write_all("N")) co_return false;
    } else {
      break;
    }
  }
  if (packet->kind == pgwire::StartupKind::kCancelRequest) {
    co_await cancel(packet->cancel_key);
    co_return false;
  }
  if (packet->kind != pgwire::StartupKind::kStartup) {
    log_refusal("asked for encryption twice");
    co_return false;
  }
  if (plain) {
    co_return refuse(
        access_denied(id_, "TLS is required. Connect with sslmode=verify-full or sslmode=require."),
        "no TLS");
  }
  auto checked = check_startup(*packet);
  if (const auto* const refusal = std::get_if<ErrorReport>(&checked)) {
    co_return refuse(*refusal, refusal->message);
  }
  const Login& login = std::get<Login>(checked);
  if (packet->minor_version > 0 || !login.unknown_protocol_options.empty()) {
    std::string answer;
    pgwire::append_negotiate_version(answer, login.unknown_protocol_options);
    if (!co_await client_.write_all(answer)) co_return false;
  }
  if (!enter_cluster(login)) co_return false;
  if (!co_await authenticate(&login)) co_return false;
  co_return co_await connect_backend(&login);
}

asio::awaitable<bool> Session::set_up_tls() {
  auto tls = shared_->tls->accept(client_.fd());
  if (!tls) {
    log_refusal(tls.error().message);
    co_return false;
  }
  client_.start_tls(std::move(*tls));
  if (co_await client_.handshake()) co_return true;
  if (!client_.is_open()) co_return false;
  const net::TlsFailure& failure = client_.tls()->failure();
  if (failure.peer_distrusts_us) {
    log_refusal(
        "the client does not trust this certificate authority; tell it to, for example with "
        "sslrootcert=" +
        shared_->options.authority->certificate_file().string() + " [" + failure.text + "]");
  } else if (!failure.text.empty()) {
    log_refusal(failure.text);
  }
  co_return false;
}

asio::awaitable<std::optional<pgwire::StartupPacket>> Session::read_startup() {
  std::array<char, 4> head;
  if (!co_await client_.read_exactly(head)) co_return std::nullopt;
  const std::uint32_t length = pgwire::read_u32({head.data(), head.size()});
  if (length < 8 || length > pgwire::kStartupBytesMax) {
    refuse(
        {.severity = "FATAL", .sqlstate = "08P01", .message = "invalid length of startup packet"},
        "invalid length of startup packet");
    co_return std::nullopt;
  }
  std::string body(length - 4, '\0');
  if (!co_await client_.read_exactly(body)) co_return std::nullopt;
  auto packet = pgwire::parse_startup(body);
  if (packet) co_return std::move(*packet);
  refuse({.severity = "FATAL",
          .sqlstate = packet.error().code == base::Code::kUnimplemented ? "0A000" : "08P01",
          .message = packet.error().message},
         packet.error().message);
  co_return std::nullopt;
}

/// Notes what the client is to be told, and returns false. `reason` goes to the log.
bool Session::refuse(ErrorReport report, std::string_view reason) {
  ++shared_->refused;
  log_refusal("refused: " + std::string(reason));
  refusal_ = std::move(report);
  return false;
}

/// Asks where the cluster's server is now: it may have moved or come back since the last time.
Session::Found Session::find_cluster() {
  auto target = shared_->options.find_cluster(cluster_id_);
  if (target) {
    target_ = std::move(*target);
    return Found::kReady;
  }
  return target.error().code == base::Code::kNotFound ? Found::kNotThere : Found::kNotReady;
}

/// Finds the cluster by SNI, or by the option that stands in for it, and counts the connection.
bool Session::enter_cluster(const Login& login) {
  const std::string name = client_.tls()->server_name();
  const auto by_name = cluster_id_of(name, shared_->options.region);
  if (!by_name && login.cluster_option.empty()) {
    if (name.empty()) {
      return refuse(not_accepted("sni was not received", id_), "no SNI");
    }
    return refuse(
        access_denied(id_, name + " is not the endpoint of a cluster. Connect to the cluster's "
                                  "endpoint, or name it with options=-camzn-cluster-id=<id>."),
        "no cluster is called " + name);
  }
  cluster_id_ = by_name ? *by_name : login.cluster_option;
  const bool at_odds = by_name && !login.cluster_option.empty() && *by_name != login.cluster_option;
  if (!is_cluster_id(cluster_id_) || at_odds || find_cluster() == Found::kNotThere) {
    return refuse(access_denied(id_, "The cluster was not found."), "no cluster " + cluster_id_);
  }
  const auto now = shared_->options.clock->steady_now();
  const Limits& limits = shared_->options.limits;
  ClusterLoad& load =
      shared_->load
          .try_emplace(cluster_id_, ClusterLoad{.connections = 0,
                                                .new_connections =
                                                    TokenBucket(limits.new_connections_per_second,
                                                                limits.new_connections_burst, now)})
          .first->second;
  if (!load.new_connections.take(now)) {
    return refuse({.severity = "FATAL",
                   .sqlstate = "53400",
                   .message = "Unable to accept connection, rate exceeded."},
                  "connection rate exceeded");
  }
  if (load.connections >= limits.connections_per_cluster_max) {
    return refuse({.severity = "FATAL",
                   .sqlstate = "53300",
                   .message = "Unable to accept connection, too many open connections."},
                  "too many open connections");
  }
  load_ = &load;
  ++load_->connections;
  return true;
}

asio::awaitable<std::optional<std::string>> Session::read_password() {
  std::string request;
  pgwire::append_authentication_cleartext(request);
  if (!co_await client_.write_all(request)) co_return std::nullopt;
  std::array<char, pgwire::kHeaderBytes> head;
  if (!co_await client_.read_exactly(head)) co_return std::nullopt;
  const std::uint32_t length = pgwire::read_u32({head.data() + 1, 4});
  if (head[0] != 'p' || length < 5 || length > kPasswordBytesMax) {
    refuse({.severity = "FATAL", .sqlstate = "08P01", .message = "expected password response"},
           "no password message where one must be");
    co_return std::nullopt;
  }
  std::string password(length - 4, '\0');
  if (!co_await client_.read_exactly(password)) co_return std::nullopt;
  password.resize(std::min(password.find('\0'), password.size()));
  co_return password;
}

asio::awaitable<bool> Session::authenticate(const Login* login) {
  const auto password = co_await read_password();
  if (!password) co_return false;
  const Options& options = shared_->options;
  const iam::TokenVerdict verdict =
      iam::verify_dsql_token(*password,
                             {.host = endpoint_of(cluster_id_, options.region),
                              .region = options.region,
                              .role = login->role,
                              .cluster_arn = arn_of(cluster_id_, options.region, options.account),
                              .now = options.clock->now()},
                             *options.keys);
  if (verdict.outcome != iam::TokenOutcome::kAccepted) {
    std::string reason = "role " + login->role + ": " + verdict.hint;
    if (!verdict.reason.empty()) reason += " [" + verdict.reason + "]";
    if (!verdict.identity_arn.empty()) reason += " [" + verdict.identity_arn + "]";
    co_return refuse(access_denied(id_, verdict.hint), reason);
  }
  if (login->role != iam::kAdminRole) {
    // No role but admin can be mapped to an identity yet.
    const std::string text = "IAM authentication failed for user \"" + login->role + "\"";
    co_return refuse(access_denied(id_, text), text);
  }
  co_return true;
}

asio::awaitable<bool> Session::connect_backend(const Login* login) {
  const auto give_up =
      shared_->options.clock->steady_now() + shared_->options.limits.backend_patience;
  std::string to_client;
  while (client_.is_open()) {
    const Attempt attempt = co_await try_backend(login, &to_client);
    if (attempt == Attempt::kDone) co_return co_await client_.write_all(to_client);
    if (attempt == Attempt::kRefused) co_return false;
    if (shared_->options.clock->steady_now() >= give_up) {
      co_return refuse(not_accepted("waking up cluster, please retry later", id_),
                       "cluster " + cluster_id_ + " does not answer");
    }
    asio::steady_timer pause(shared_->context, kRetryPause);
    co_await pause.async_wait(kAwait);
  }
  co_return false;
}

/// Logs in at the backend, and fills `to_client` with what the client is to get. kAgain: the server
/// is not there, or still starting.
asio::awaitable<Session::Attempt> Session::try_backend(const Login* login, std::string* to_client) {
  if (find_cluster() != Found::kReady) co_return Attempt::kAgain;
  auto socket = net::connect_unix(socket_path(target_));
  if (!socket) {
    if (socket.error().code == base::Code::kUnavailable) co_return Attempt::kAgain;
    refuse(server_unavailable(), socket.error().message);
    co_return Attempt::kRefused;
  }
  backend_ = std::make_unique<ByteStream>(shared_->context, std::move(*socket));
  const std::string startup = pgwire::print_startup(backend_parameters(*login));
  if (!co_await backend_->write_all(startup)) co_return Attempt::kAgain;
  BackendGreeting greeting;
  pgwire::FrameCutter cutter(1 << 20, 1 << 20);
  std::array<char, 4096> buffer;
  pgwire::CutStatus status = pgwire::CutStatus::kOk;
  while (status == pgwire::CutStatus::kOk) {
    const std::size_t size = co_await backend_->read_some(buffer);
    if (size == 0) co_return client_.is_open() ? Attempt::kAgain : Attempt::kRefused;
    status = cutter.feed({buffer.data(), size}, greeting);
  }
  if (greeting.is_starting()) co_return Attempt::kAgain;
  if (!greeting.status()) {
    refuse(greeting.error().value_or(server_unavailable()), "the backend: " + greeting.reason());
    co_return Attempt::kRefused;
  }
  relay_.emplace(*greeting.status());
  pgwire::append_authentication_ok(*to_client);
  relay_->from_backend(greeting.rest(), *to_client);
  register_cancel(greeting.key(), *to_client);
  const char ready = static_cast<char>(*greeting.status());
  pgwire::append_message(*to_client, 'Z', {&ready, 1});
  co_return Attempt::kDone;
}

void Session::register_cancel(pgwire::BackendKey backend_key, std::string& to_client) {
  do {
    cancel_id_ = static_cast<std::uint32_t>(base::random_u64()) & 0x7fffffff;
  } while (cancel_id_ == 0 || shared_->cancel_targets.contains(cancel_id_));
  const auto secret = static_cast<std::uint32_t>(base::random_u64());
  shared_->cancel_targets[cancel_id_] = {
      .secret = secret, .socket_path = socket_path(target_), .backend_key = backend_key};
  pgwire::append_backend_key_data(to_client, cancel_id_, secret);
}

/// A client's CancelRequest, which comes on a connection of its own. There is no answer but the end
/// of the connection, which the client waits for: so the backend's own end is waited for first.
asio::awaitable<void> Session::cancel(pgwire::BackendKey key) {
  const auto found = shared_->cancel_targets.find(key.process_id);
  const auto bytes = [](const std::uint32_t& value) {
    return std::string_view(reinterpret_cast<const char*>(&value), sizeof value);
  };
  if (found == shared_->cancel_targets.end() ||
      !iam::equal_in_constant_time(bytes(found->second.secret), bytes(key.secret))) {
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
  while (status == RelayStatus::kGoesOn) {
    auto& buffer = self->shared_->buffer;
    const std::size_t size = co_await self->client_.read_some(buffer);
    if (size == 0) break;
    to_backend.reserve(size);
    status = self->relay_->from_client({buffer.data(), size}, to_backend);
    if (!co_await self->backend_->write_all(to_backend)) break;
    empty(to_backend);
  }
  if (status == RelayStatus::kRefused) {
    self->log_refusal("refused: " + self->relay_->refusal().message);
    self->end(self->relay_->refusal());
    co_return;
  }
  if (self->last_words_) co_return;
  if (status == RelayStatus::kTerminated) {
    self->client_said_goodbye_ = true;
  } else if (!self->client_.is_open() || !self->backend_->is_open()) {
    co_return;
  } else if (self->relay_->is_busy()) {
    self->cancel_abandoned();
  }
  // The backend ends, and its reader sees that.
  ::shutdown(self->backend_->fd(), SHUT_WR);
  if (status != RelayStatus::kTerminated) self->drop();
}

asio::awaitable<void> Session::relay_from_backend(Self self) {
  std::string to_client;
  while (true) {
    auto& buffer = self->shared_->buffer;
    const std::size_t size = co_await self->backend_->read_some(buffer);
    if (size == 0 || self->last_words_) break;
    to_client.reserve(size);
    const RelayStatus status = self->relay_->from_backend({buffer.data(), size}, to_client);
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
