#pragma once

#include "net/tls.h"
#include "pgwire/messages.h"
#include "pgwire/startup.h"
#include "router/limits.h"
#include "router/login.h"
#include "router/relay.h"
#include "router/router.h"
#include "router/stream.h"

#include <boost/asio/steady_timer.hpp>

#include <array>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

// Internal to router: it brings Asio.
namespace zorya::router {

class Session;

/// What a CancelRequest with the right secret reaches.
struct CancelTarget {
  std::uint32_t secret = 0;
  std::filesystem::path socket_path;
  pgwire::BackendKey backend_key;
};

/// Counts of one cluster's connections.
struct ClusterLoad {
  std::size_t connections = 0;
  TokenBucket new_connections;
};

/// What the sessions of a router share. Belongs to the router's thread; outlives all of them.
struct Shared {
  Shared(Options options_in, std::unique_ptr<net::TlsServer> tls_in)
      : options(std::move(options_in)), tls(std::move(tls_in)), log(options.clock->steady_now()) {}

  const Options options;
  const std::unique_ptr<net::TlsServer> tls;
  RefusalLog log;
  std::list<std::weak_ptr<Session>> half_open;  // the oldest first
  std::list<std::weak_ptr<Session>> sessions;   // logged in
  std::map<std::uint32_t, CancelTarget> cancel_targets;
  std::map<std::string, ClusterLoad, std::less<>> load;
  /// What a session reads into. One serves all: a session relays what it has read before it waits
  /// again, so that an idle session holds none.
  std::array<char, 64 << 10> buffer{};
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  WoundCounts wounds;
  bool stopping = false;
  // The last member: its end destroys what still waits in it, and sessions with that, which take
  // themselves out of the lists above.
  asio::io_context context{1};
};

/// One client connection, from its first byte to its end. Kept alive by its coroutines; each of
/// them holds `self`.
class Session : public std::enable_shared_from_this<Session> {
 public:
  /// Begins to serve `socket`; lets `lease` go after closing it.
  static void begin(Shared* shared, base::UniqueFd socket, std::string origin,
                    std::shared_ptr<void> lease);

  Session(Shared* shared, base::UniqueFd socket, std::string origin, std::shared_ptr<void> lease);
  ~Session();

  /// Ends it in order: the client is told `report` if that is possible, within two seconds.
  void end(pgwire::ErrorReport report);
  /// Ends it now.
  void drop();

 private:
  using Self = std::shared_ptr<Session>;
  using SessionPlace = std::list<std::weak_ptr<Session>>::iterator;

  static asio::awaitable<void> serve(Self self);
  static asio::awaitable<void> relay_from_client(Self self);
  static asio::awaitable<void> relay_from_backend(Self self);

  asio::awaitable<bool> set_up_tls();
  asio::awaitable<bool> log_in();
  asio::awaitable<std::optional<pgwire::StartupPacket>> read_startup();
  asio::awaitable<std::optional<std::string>> read_password();
  asio::awaitable<void> cancel(pgwire::BackendKey key);
  asio::awaitable<bool> authenticate(const Login* login);
  asio::awaitable<bool> connect_backend(const Login* login);

  enum class Attempt { kDone, kAgain, kRefused };
  asio::awaitable<Attempt> try_backend(const Login* login, std::string* to_client);

  enum class Found { kReady, kNotReady, kNotThere };
  Found find_cluster();
  bool enter_cluster(const Login& login);
  bool refuse(pgwire::ErrorReport report, std::string_view reason);
  void set_deadline(std::chrono::seconds from_now);
  void leave_half_open();
  void log_refusal(std::string_view what);
  void register_cancel(pgwire::BackendKey backend_key, std::string& to_client);
  void cancel_abandoned();

  Shared* const shared_;
  const std::shared_ptr<void> lease_;  // before client_: it goes after the socket
  const std::string origin_;
  const std::string id_;
  ByteStream client_;
  std::unique_ptr<ByteStream> backend_;
  asio::steady_timer deadline_;
  std::optional<Relay> relay_;
  std::string cluster_id_;
  BackendTarget target_;
  ClusterLoad* load_ = nullptr;
  std::uint32_t cancel_id_ = 0;
  std::optional<SessionPlace> half_open_place_;
  std::optional<SessionPlace> session_place_;
  std::optional<pgwire::ErrorReport> refusal_;     // of the login
  std::optional<pgwire::ErrorReport> last_words_;  // to a client that had logged in
  bool client_said_goodbye_ = false;
};

}  // namespace zorya::router
