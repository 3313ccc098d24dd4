#include "function_kit/dsql.h"

#include "function_kit/sigv4.h"

#include <libpq-fe.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace function_kit {
namespace {

struct CloseConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};

std::string without_newline(const char* text) {
  std::string result = text == nullptr ? "" : text;
  while (!result.empty() && result.back() == '\n') result.pop_back();
  return result;
}

std::string ca_file_of(const DsqlOptions& options) {
  if (!options.ca_file.empty()) return options.ca_file;
  if (const char* set = std::getenv("PGSSLROOTCERT"); set != nullptr) return set;
  // Where Amazon Linux 2023 has it, then where Debian does.
  for (const char* path :
       {"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"}) {
    if (::access(path, R_OK) == 0) return path;
  }
  return "/etc/pki/tls/certs/ca-bundle.crt";  // libpq then says that it is absent
}

DsqlRows read_rows(const PGresult* result) {
  DsqlRows rows;
  const int columns = PQnfields(result);
  for (int c = 0; c < columns; ++c) rows.columns.emplace_back(PQfname(result, c));
  for (int r = 0; r < PQntuples(result); ++r) {
    auto& row = rows.rows.emplace_back();
    for (int c = 0; c < columns; ++c) {
      if (PQgetisnull(result, r, c) != 0) {
        row.emplace_back();
      } else {
        row.emplace_back(std::string(PQgetvalue(result, r, c),
                                     static_cast<std::size_t>(PQgetlength(result, r, c))));
      }
    }
  }
  const std::string_view tag = PQcmdTuples(const_cast<PGresult*>(result));
  std::from_chars(tag.data(), tag.data() + tag.size(), rows.affected);
  return rows;
}

}  // namespace

struct DsqlConnection::State {
  DsqlOptions options;
  CredentialsProvider credentials;
  std::unique_ptr<PGconn, CloseConnection> connection;
  std::chrono::steady_clock::time_point opened;
  bool in_block = false;  // the last statement left a BEGIN open

  [[nodiscard]] bool usable() const {
    if (!connection || PQstatus(connection.get()) != CONNECTION_OK) return false;
    // An old session is left only between transactions.
    return PQtransactionStatus(connection.get()) != PQTRANS_IDLE ||
           std::chrono::steady_clock::now() - opened < options.age_max;
  }

  Expected<bool> open() {
    auto key = credentials.get();
    if (!key) return key.error();
    const std::string token = dsql_token(options.endpoint, options.region, options.user, *key,
                                         std::chrono::system_clock::now());
    const std::string ca_file = ca_file_of(options);
    const std::string timeout = std::to_string(options.connect_timeout.count());
    const std::array<const char*, 9> names = {
        "host",    "port",        "dbname",          "user", "password",
        "sslmode", "sslrootcert", "connect_timeout", nullptr};
    const std::array<const char*, 9> values = {
        options.endpoint.c_str(), options.port.c_str(), "postgres",
        options.user.c_str(),     token.c_str(),        "verify-full",
        ca_file.c_str(),          timeout.c_str(),      nullptr};
    connection.reset(PQconnectdbParams(names.data(), values.data(), 0));
    opened = std::chrono::steady_clock::now();
    if (PQstatus(connection.get()) == CONNECTION_OK) return true;
    Error error{
        "Dsql.ConnectError",
        "connect to " + options.endpoint + ": " + without_newline(PQerrorMessage(connection.get())),
        "08006", true};
    connection.reset();
    return error;
  }

  Error statement_error(const PGresult* result) const {
    const char* sqlstate =
        result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char* primary =
        result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const bool lost = PQstatus(connection.get()) != CONNECTION_OK;
    return {"Dsql.Error",
            without_newline(primary != nullptr ? primary : PQerrorMessage(connection.get())),
            sqlstate != nullptr ? sqlstate : (lost ? "08006" : ""), lost};
  }
};

DsqlConnection::DsqlConnection(DsqlOptions options) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
}
DsqlConnection::DsqlConnection(DsqlConnection&&) noexcept = default;
DsqlConnection& DsqlConnection::operator=(DsqlConnection&&) noexcept = default;
DsqlConnection::~DsqlConnection() = default;

Expected<bool> DsqlConnection::connect() {
  return state_->usable() ? Expected<bool>(true) : state_->open();
}

Expected<DsqlRows> DsqlConnection::execute(const std::string& sql,
                                           const std::vector<DsqlValue>& parameters) {
  if (state_->in_block && !state_->usable()) {
    // The block died with its session; what follows of it must not run alone in a new one.
    close();
    return Error{"Dsql.Error", "the connection was lost inside a transaction", "08006", true};
  }
  if (auto connected = connect(); !connected) return connected.error();
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const auto& parameter : parameters) {
    values.push_back(parameter ? parameter->c_str() : nullptr);
  }
  const std::unique_ptr<PGresult, ClearResult> result(
      PQexecParams(state_->connection.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                   values.data(), nullptr, nullptr, 0));
  const auto block = PQtransactionStatus(state_->connection.get());
  if (block != PQTRANS_UNKNOWN) state_->in_block = block != PQTRANS_IDLE;
  switch (PQresultStatus(result.get())) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
      return read_rows(result.get());
    default:
      return state_->statement_error(result.get());
  }
}

void DsqlConnection::close() {
  state_->connection.reset();
  state_->in_block = false;
}

}  // namespace function_kit
