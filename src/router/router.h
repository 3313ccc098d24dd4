#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "iam/key_store.h"
#include "net/authority.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace zorya::router {

/// Where a cluster's private server listens: <socket_folder>/.s.PGSQL.5432.
struct BackendTarget {
  std::filesystem::path socket_folder;
  std::string database = "postgres";
};

/// Bounds. The defaults of the last six are the service's quotas.
struct Limits {
  std::size_t half_open_max = 2000;          // not logged in yet; the oldest goes for a new one
  std::chrono::seconds login_deadline{20};   // from accept to the first ReadyForQuery
  std::chrono::seconds backend_patience{5};  // for a server that is starting again
  std::size_t connections_per_cluster_max = 10'000;
  double new_connections_per_second = 100;
  double new_connections_burst = 1000;
  std::chrono::seconds session_life{3600};
  std::uint32_t message_bytes_max = 10u << 20;    // of one message of a client
  std::chrono::seconds transaction_age_max{300};  // of one that idles; the extension sees to others
};

struct Options {
  std::string address = "127.0.0.1";
  std::uint16_t port = 5432;            // 0: a free one
  net::Authority* authority = nullptr;  // outlives the router, as do keys and clock
  const iam::KeyStore* keys = nullptr;
  std::string region = "us-east-1";
  std::string account = "000000000000";
  /// The server of a cluster id (26 characters of a-z and 0-9). kNotFound: no such cluster; any
  /// other error: it is there but cannot be used now, and clients are told to come again. Called on
  /// the router's thread for each connection; must not block.
  std::function<base::Result<BackendTarget>(std::string_view cluster_id)> find_cluster;
  const base::Clock* clock = &base::system_clock();
  Limits limits;
};

/// What sessions lived through. Counted since the start; what was done to them each cluster's
/// server counts (sys.commit_stats).
struct LossCounts {
  std::uint64_t told = 0;           // transactions ended from outside, as their clients were told
  std::uint64_t backends_lost = 0;  // backends that went without being asked to
};

/// Counts, for `zorya status`.
struct RouterStatus {
  std::size_t sessions = 0;  // logged in
  std::size_t half_open = 0;
  std::uint64_t accepted = 0;  // since the start
  std::uint64_t refused = 0;
  LossCounts losses;
};

/// The PostgreSQL front of an instance, on one thread of its own.
class Router {
 public:
  /// Listens and serves. kAlreadyExists: the port is taken. Raises the process's soft limit of open
  /// files to its hard one.
  static base::Result<std::unique_ptr<Router>> start(Options options);
  /// As stop().
  virtual ~Router() = default;

  [[nodiscard]] virtual std::uint16_t port() const = 0;

  /// Serves a connection that someone else accepted (within a function's environment), exactly as
  /// one of our own listener; `origin` names it in the log, `lease` is let go when it is closed.
  /// Any thread; returns at once.
  virtual void adopt(base::UniqueFd socket, std::string origin, std::shared_ptr<void> lease) = 0;

  /// Any thread; waits for the router's thread, a millisecond or so. Zeros once it has stopped.
  [[nodiscard]] virtual RouterStatus status() const = 0;

  /// Takes no more connections, tells each session that the server ends, and joins the thread
  /// within two seconds. Idempotent.
  virtual void stop() = 0;
};

}  // namespace zorya::router
