#pragma once

#include "net/tls.h"
#include "pgwire/messages.h"
#include "pgwire/startup.h"
#include "router/backend_greeting.h"
#include "router/limits.h"
#include "router/login.h"
#include "router/relay.h"
#include "router/router.h"
#include "router/schema_watch.h"
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
  std::map<std::pair<std::string, std::uint32_t>, Session*> backends;  // by cluster and process id
  std::map<std::string, ClusterLoad, std::less<>> load;
  /// What a session reads into. One serves all: a session relays what it has read before it waits
  /// again, so that an idle session holds none.
  std::array<char, 64 << 10> buffer{};
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  LossCounts losses;
  bool stopping = false;
  bool watches_ages = false;

  /// The session whose backend that is.
  std::shared_ptr<Session> find_backend(const std::string& cluster_id, std::uint32_t process_id);

  // The last of these: its end destroys what still waits in it, and sessions with that, which take
  // themselves out of the lists above.
  asio::io_context context{1};
  // These hold timers of the context.
  asio::steady_timer age_timer{context};
  std::map<std::string, std::shared_ptr<SchemaWatch>, std::less<>> watches;  // by cluster
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

  // What a schema change needs to know of a session in its way, and does to it (schema_watch.h).
  [[nodiscard]] Relay::Stance stance() const { return relay_->stance(); }
  [[nodiscard]] bool may_tell_backend() const;
  [[nodiscard]] std::uint32_t backend_pid() const { return backend_pid_; }
  [[nodiscard]] bool changes_schema() const { return backend_ && relay_->changes_schema(); }
  void fail_transaction(Cause cause);
  void fail_copy(Cause cause);
  void expect_cancel(Reason reason);
  void cancel_was_sent(bool sent);
  void expect_termination(bool expected) { termination_expected_ = expected; }
  /// Takes what the backend has to say while the client does not read, up to a bound: a backend
  /// that waits for its reader feels no cancel.
  void drain();

  /// Ends its transaction if that has idled for too long. True if it has one.
  bool check_age();

 private:
  using Self = std::shared_ptr<Session>;
  using SessionPlace = std::list<std::weak_ptr<Session>>::iterator;

  static asio::awaitable<void> serve(Self self);
  static asio::awaitable<void> relay_from_client(Self self);
  static asio::awaitable<void> relay_from_backend(Self self, std::shared_ptr<ByteStream> backend);
  static asio::awaitable<void> say_last_words(Self self);
  static asio::awaitable<void> watch_ages(Shared* shared);

  asio::awaitable<RelayStatus> take_from_client(std::string_view in);
  asio::awaitable<bool> write_client(std::string_view data);
  asio::awaitable<void> write_backend(std::string_view data);
  asio::awaitable<bool> pass_to_client(std::string* data);
  asio::awaitable<void> end_backend(std::shared_ptr<ByteStream> backend, bool is_broken);
  void after_backend();
  bool send_now(std::string_view data);
  void note_backend(pgwire::BackendKey key);
  void forget_backend();
  [[nodiscard]] Reason loss_reason() const;
  [[nodiscard]] Reason age_reason() const;
  [[nodiscard]] Reason reason_of(Cause cause) const;

  asio::awaitable<bool> set_up_tls();
  asio::awaitable<bool> log_in();
  asio::awaitable<std::optional<pgwire::StartupPacket>> read_startup();
  asio::awaitable<std::optional<std::string>> read_password();
  asio::awaitable<void> cancel(pgwire::BackendKey key);
  asio::awaitable<bool> authenticate(const Login* login);
  asio::awaitable<bool> connect_backend();

  enum class Attempt { kDone, kAgain, kRefused };
  asio::awaitable<Attempt> try_backend(std::string* to_client);
  asio::awaitable<Attempt> log_in_at_backend(BackendGreeting* greeting);
  asio::awaitable<bool> restore_backend(std::string* to_client);
  void close_backend_at(asio::steady_timer& timer);
  asio::awaitable<Attempt> try_restore(std::string* to_client);

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
  std::shared_ptr<ByteStream> backend_;  // none after a loss, until the client needs one
  std::uint32_t backend_pid_ = 0;
  asio::steady_timer deadline_;
  asio::steady_timer turn_;      // cancelled when the client's writer has ended
  asio::steady_timer released_;  // cancelled when the client is held no longer
  Login login_;
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
  bool client_is_written_ = false;   // somebody waits for the client to take something
  bool backend_is_written_ = false;  // what the client sent is on its way to the backend
  bool passing_ = false;             // the backend's reader waits for the client
  bool termination_expected_ = false;
  std::uint64_t loss_count_ = 0;
  std::string drained_;  // what the client gets after what it takes now
  bool drained_broken_ = false;
  std::chrono::steady_clock::time_point transaction_begun_;
  std::chrono::steady_clock::time_point last_heard_;
};

}  // namespace zorya::router
