#pragma once

#include "base/result.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;

namespace zorya::cluster {

/// A login on a private server by its socket. One thread at a time.
class Connection {
 public:
  /// Logs in as `role` by the socket in `socket_folder`. kUnavailable with PostgreSQL's words if it
  /// does not let us in (also while it starts or recovers), kDeadlineExceeded after `timeout`.
  static base::Result<Connection> open(const std::filesystem::path& socket_folder,
                                       std::string_view role, std::chrono::milliseconds timeout);

  /// Runs one statement with `parameters` as $1, $2, …; gives the first column of its first row,
  /// empty if that is null or there is none. kFailedPrecondition with PostgreSQL's words if it
  /// fails, kDeadlineExceeded after `timeout`; then the connection is of no more use.
  base::Result<std::string> ask(const std::string& sql, const std::vector<std::string>& parameters,
                                std::chrono::milliseconds timeout);

 private:
  struct Finish {
    void operator()(pg_conn* connection) const;
  };
  explicit Connection(pg_conn* connection) : connection_(connection) {}
  std::unique_ptr<pg_conn, Finish> connection_;
};

}  // namespace zorya::cluster
