#include "cluster/probe.h"

#include "base/clock.h"
#include "cluster/settings.h"

#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <memory>

namespace zorya::cluster {
namespace {

struct Finish {
  void operator()(PGconn* connection) const { ::PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, Finish>;

/// Every parameter is named: libpq takes what is not from our environment.
Connection begin_connecting(const std::string& socket_folder, const std::string& role) {
  const std::string database(kDatabase);
  const std::array<const char*, 11> names{
      "host",       "port",    "user",     "dbname",           "sslmode",
      "gssencmode", "options", "passfile", "application_name", "client_encoding",
      nullptr};
  const std::array<const char*, 11> values{socket_folder.c_str(),
                                           "5432",
                                           role.c_str(),
                                           database.c_str(),
                                           "disable",
                                           "disable",
                                           "-c client_min_messages=warning",
                                           "/nonexistent",
                                           "zorya",
                                           "UTF8",
                                           nullptr};
  return Connection(::PQconnectStartParams(names.data(), values.data(), 0));
}

/// libpq ends its messages with a newline and may write several lines.
std::string error_text(PGconn* connection) {
  std::string text = ::PQerrorMessage(connection);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  return text;
}

}  // namespace

base::Result<void> probe_login(const std::filesystem::path& socket_folder, std::string_view role,
                               std::chrono::milliseconds timeout) {
  const std::string what = "connect to the database in " + socket_folder.string();
  const Connection connection = begin_connecting(socket_folder, std::string(role));
  if (connection == nullptr) {
    return base::Error{base::Code::kResourceExhausted, what + ": no memory", {}};
  }
  const auto deadline = base::system_clock().steady_now() + timeout;
  short events = POLLOUT;
  while (::PQstatus(connection.get()) != CONNECTION_BAD) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - base::system_clock().steady_now());
    pollfd wait{::PQsocket(connection.get()), events, 0};
    if (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) == 0) {
      return base::Error{base::Code::kDeadlineExceeded, what + ": no answer in time", {}};
    }
    const PostgresPollingStatusType step = ::PQconnectPoll(connection.get());
    if (step == PGRES_POLLING_OK) return {};
    if (step == PGRES_POLLING_FAILED) break;
    events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT;
  }
  return base::Error{base::Code::kUnavailable, what + ": " + error_text(connection.get()), {}};
}

}  // namespace zorya::cluster
