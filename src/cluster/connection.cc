#include "cluster/connection.h"

#include "base/clock.h"
#include "cluster/settings.h"

#include <libpq-fe.h>
#include <poll.h>

#include <array>

namespace zorya::cluster {
namespace {

using std::chrono::milliseconds;
using Deadline = std::chrono::steady_clock::time_point;

/// Every parameter is named: libpq takes what is not from our environment.
PGconn* begin_connecting(const std::string& socket_folder, const std::string& role) {
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
  return ::PQconnectStartParams(names.data(), values.data(), 0);
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

/// False when the deadline passes first.
bool wait_for(PGconn* connection, short events, Deadline deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - base::system_clock().steady_now());
  if (left.count() <= 0) return false;
  pollfd wait{::PQsocket(connection), events, 0};
  return ::poll(&wait, 1, static_cast<int>(left.count())) != 0;
}

base::Error too_late(const std::string& what) {
  return {base::Code::kDeadlineExceeded, what + ": no answer in time", {}};
}

struct Clear {
  void operator()(PGresult* result) const { ::PQclear(result); }
};
using Answer = std::unique_ptr<PGresult, Clear>;

base::Result<std::string> first_value(PGconn* connection, const PGresult* result) {
  const ExecStatusType status = ::PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    const char* told = ::PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char* hint = ::PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    return base::Error{base::Code::kFailedPrecondition,
                       told != nullptr ? std::string(told) : error_text(connection),
                       hint != nullptr ? std::string(hint) : std::string{}};
  }
  if (::PQntuples(result) == 0 || ::PQnfields(result) == 0) return std::string{};
  return std::string(::PQgetvalue(result, 0, 0),
                     static_cast<std::size_t>(::PQgetlength(result, 0, 0)));
}

}  // namespace

void Connection::Finish::operator()(pg_conn* connection) const { ::PQfinish(connection); }

base::Result<Connection> Connection::open(const std::filesystem::path& socket_folder,
                                          std::string_view role, milliseconds timeout) {
  const std::string what = "connect to the database in " + socket_folder.string();
  Connection opened(begin_connecting(socket_folder, std::string(role)));
  PGconn* const connection = opened.connection_.get();
  if (connection == nullptr) {
    return base::Error{base::Code::kResourceExhausted, what + ": no memory", {}};
  }
  const Deadline deadline = base::system_clock().steady_now() + timeout;
  short events = POLLOUT;
  while (::PQstatus(connection) != CONNECTION_BAD) {
    if (!wait_for(connection, events, deadline)) return too_late(what);
    const PostgresPollingStatusType step = ::PQconnectPoll(connection);
    if (step == PGRES_POLLING_OK) return opened;
    if (step == PGRES_POLLING_FAILED) break;
    events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT;
  }
  return base::Error{base::Code::kUnavailable, what + ": " + error_text(connection), {}};
}

base::Result<std::string> Connection::ask(const std::string& sql,
                                          const std::vector<std::string>& parameters,
                                          milliseconds timeout) {
  PGconn* const connection = connection_.get();
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  const Deadline deadline = base::system_clock().steady_now() + timeout;
  if (::PQsendQueryParams(connection, sql.c_str(), static_cast<int>(values.size()), nullptr,
                          values.data(), nullptr, nullptr, 0) == 0) {
    return base::Error{base::Code::kUnavailable, error_text(connection), {}};
  }
  base::Result<std::string> value = std::string{};
  while (true) {
    while (::PQisBusy(connection) != 0) {
      if (!wait_for(connection, POLLIN, deadline)) return too_late("ask the database");
      if (::PQconsumeInput(connection) == 0) {
        return base::Error{base::Code::kUnavailable, error_text(connection), {}};
      }
    }
    const Answer answer(::PQgetResult(connection));
    if (!answer) return value;
    value = first_value(connection, answer.get());
  }
}

}  // namespace zorya::cluster
