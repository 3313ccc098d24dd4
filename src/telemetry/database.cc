#include "telemetry/database.h"

#include <sqlite3.h>

namespace zorya::telemetry {

base::Error database_error(sqlite3* handle, std::string_view what) {
  const int code = sqlite3_errcode(handle) & 0xff;
  const base::Code kind = code == SQLITE_FULL ? base::Code::kResourceExhausted : base::Code::kIo;
  return base::Error{kind, std::string(what) + ": " + sqlite3_errmsg(handle), {}};
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
  return *this;
}

Statement& Statement::bind(int index, std::string_view value) {
  const char* data = value.data() == nullptr ? "" : value.data();
  sqlite3_bind_text64(statement_.get(), index, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

base::Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  const base::Error error =
      database_error(sqlite3_db_handle(statement_.get()), "telemetry database");
  sqlite3_reset(statement_.get());
  return error;
}

base::Result<void> Statement::run() {
  while (true) {
    ZORYA_ASSIGN(const bool row, step());
    if (!row) break;
  }
  reset();
  return {};
}

void Statement::reset() { sqlite3_reset(statement_.get()); }

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (data == nullptr) return {};
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

base::Result<Database> Database::open(const std::filesystem::path& path, Mode mode) {
  sqlite3* handle = nullptr;
  // The last connection to close writes the log back into the file and removes it, which one that
  // SQLite calls read-only never does: a reader changes nothing by query_only instead.
  const int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE |
                    (mode == Mode::kReadOnly ? 0 : SQLITE_OPEN_CREATE);
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  Database database(handle);
  if (code != SQLITE_OK) return database_error(handle, "open " + path.string());
  // A checkpoint or another connection's write may hold the file for a moment.
  sqlite3_busy_timeout(handle, 1000);
  if (mode == Mode::kReadOnly) ZORYA_TRY(database.execute("PRAGMA query_only = on"));
  return database;
}

base::Result<void> Database::execute(const std::string& sql) {
  if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return database_error(handle_.get(), "telemetry database");
}

base::Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &statement,
                         nullptr) != SQLITE_OK) {
    return database_error(handle_.get(), "telemetry database");
  }
  return Statement(statement);
}

base::Result<std::int64_t> Database::integer(std::string_view sql) {
  ZORYA_ASSIGN(auto statement, prepare(sql));
  ZORYA_ASSIGN(const bool row, statement.step());
  if (!row) return base::Error{base::Code::kIo, "telemetry database: no row", {}};
  return statement.integer(0);
}

bool Database::is_damaged() const {
  const int code = sqlite3_errcode(handle_.get()) & 0xff;
  return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

}  // namespace zorya::telemetry
