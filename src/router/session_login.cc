#include "base/random.h"
#include "iam/dsql_token.h"
#include "net/socket.h"
#include "pgwire/frame.h"
#include "query_processor/gate/router_word.h"
#include "router/backend_greeting.h"
#include "router/error_map.h"
#include "router/read_answer.h"
#include "router/session.h"

#include <array>

// A session's first part: from the first byte to a backend that is ready for queries.
namespace zorya::router {
namespace {

using namespace std::chrono_literals;
using pgwire::ErrorReport;

constexpr int kTlsHandshakeByte = 0x16;  // the first of a TLS ClientHello
constexpr std::uint32_t kPasswordBytesMax = 64 << 10;
constexpr std::chrono::milliseconds kRetryPause = 50ms;

std::filesystem::path socket_path(const BackendTarget& target) {
  return target.socket_folder / ".s.PGSQL.5432";
}

}  // namespace

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
  login_ = login;
  co_return co_await connect_backend();
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

asio::awaitable<bool> Session::connect_backend() {
  const auto give_up =
      shared_->options.clock->steady_now() + shared_->options.limits.backend_patience;
  std::string to_client;
  while (client_.is_open()) {
    const Attempt attempt = co_await try_backend(&to_client);
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

/// Logs in at the backend. kAgain: the server is not there, or still starting. kRefused: why is in
/// `greeting`.
asio::awaitable<Session::Attempt> Session::log_in_at_backend(BackendGreeting* greeting) {
  if (find_cluster() != Found::kReady) co_return Attempt::kAgain;
  auto socket = net::connect_unix(socket_path(target_));
  if (!socket) {
    if (socket.error().code == base::Code::kUnavailable) co_return Attempt::kAgain;
    log_refusal("the backend: " + socket.error().message);
    co_return Attempt::kRefused;
  }
  backend_ = std::make_shared<ByteStream>(shared_->context, std::move(*socket));
  auto parameters = backend_parameters(login_);
  parameters.emplace_back(query_processor::gate::kRouterWordSetting, Relay::own_word());
  if (relay_ && !relay_->catalogue_seen().empty()) {
    parameters.emplace_back(query_processor::gate::kCatalogueSeenSetting, relay_->catalogue_seen());
  }
  const std::string startup = pgwire::print_startup(parameters);
  if (!co_await backend_->write_all(startup)) co_return Attempt::kAgain;
  if (!co_await read_answer(backend_.get(), greeting)) {
    co_return client_.is_open() ? Attempt::kAgain : Attempt::kRefused;
  }
  if (greeting->is_starting()) co_return Attempt::kAgain;
  co_return greeting->status() ? Attempt::kDone : Attempt::kRefused;
}

/// A backend for a client that logs in; fills `to_client` with what it is to get.
asio::awaitable<Session::Attempt> Session::try_backend(std::string* to_client) {
  BackendGreeting greeting;
  const Attempt attempt = co_await log_in_at_backend(&greeting);
  if (attempt == Attempt::kRefused) refuse(greeting.error(), "the backend: " + greeting.reason());
  if (attempt != Attempt::kDone) co_return attempt;
  relay_.emplace(*greeting.status(), shared_->losses, shared_->options.limits.message_bytes_max);
  pgwire::append_authentication_ok(*to_client);
  relay_->from_backend(greeting.rest(), *to_client);
  register_cancel(greeting.key(), *to_client);
  std::string end;
  pgwire::append_ready_for_query(end, *greeting.status());
  relay_->from_backend(end, *to_client);
  co_return Attempt::kDone;
}

void Session::register_cancel(pgwire::BackendKey backend_key, std::string& to_client) {
  do {
    cancel_id_ = static_cast<std::uint32_t>(base::random_u64()) & 0x7fffffff;
  } while (cancel_id_ == 0 || shared_->cancel_targets.contains(cancel_id_));
  const auto secret = static_cast<std::uint32_t>(base::random_u64());
  shared_->cancel_targets[cancel_id_].secret = secret;
  note_backend(backend_key);
  pgwire::append_backend_key_data(to_client, cancel_id_, secret);
}

void Session::note_backend(pgwire::BackendKey key) {
  CancelTarget& target = shared_->cancel_targets[cancel_id_];
  target.socket_path = socket_path(target_);
  target.backend_key = key;
  backend_pid_ = key.process_id;
  shared_->backends[{cluster_id_, backend_pid_}] = this;
}

void Session::forget_backend() {
  if (const auto found = shared_->backends.find({cluster_id_, backend_pid_});
      found != shared_->backends.end() && found->second == this) {
    shared_->backends.erase(found);
  }
  backend_pid_ = 0;
}

}  // namespace zorya::router
