#include "store.h"

#include <sys/random.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace todos {
namespace {

using function_kit::DsqlRows;
using function_kit::DsqlValue;
using function_kit::Error;
using function_kit::Expected;

constexpr const char* kUndefinedTable = "42P01";

constexpr std::array<const char*, 2> kSchema = {
    "CREATE TABLE IF NOT EXISTS todos ("
    " id uuid PRIMARY KEY,"
    " title text NOT NULL,"
    " done boolean NOT NULL DEFAULT false,"
    " created_at timestamptz NOT NULL DEFAULT now(),"
    " updated_at timestamptz NOT NULL DEFAULT now())",
    "CREATE INDEX ASYNC IF NOT EXISTS todos_by_time ON todos (created_at, id)"};

/// In the order that to_todo reads.
std::string columns() { return "id, title, done, created_at, updated_at"; }

/// A version 4 UUID.
std::string make_id() {
  std::array<std::uint8_t, 16> bytes{};
  // The kernel gives up to 256 bytes whole; without randomness there is nothing right to do.
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    std::abort();
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3F) | 0x80);
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += "0123456789abcdef"[bytes[i] >> 4];
    text += "0123456789abcdef"[bytes[i] & 15];
  }
  return text;
}

/// PostgreSQL's "2026-11-20 10:00:00.12+00" (ISO, UTC, as DSQL's sessions are) as
/// "2026-11-20T10:00:00.120000Z".
std::string to_timestamp(const DsqlValue& value) {
  std::string text = value.value_or("");
  if (text.size() < 22 || !text.ends_with("+00")) return text;
  text.resize(text.size() - 3);
  text[10] = 'T';
  if (text.size() == 19) text += '.';
  text.resize(26, '0');
  return text + "Z";
}

Todo to_todo(const std::vector<DsqlValue>& row) {
  return {row[0].value_or(""), row[1].value_or(""), row[2] == "t", to_timestamp(row[3]),
          to_timestamp(row[4])};
}

DsqlValue to_value(const std::optional<bool>& flag) {
  if (!flag) return std::nullopt;
  return *flag ? "true" : "false";
}

}  // namespace

Expected<std::optional<Todo>> Store::insert(const std::string& title, bool done) {
  // The id is made here, so that an insert whose answer was lost stays one todo when it is
  // repeated.
  const std::string id = make_id();
  auto inserted = run_for_one(
      "INSERT INTO todos (id, title, done) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING"
      " RETURNING " +
          columns(),
      {id, title, to_value(done)});
  return !inserted || *inserted ? inserted : find(id);
}

Expected<std::vector<Todo>> Store::list(const ListQuery& query) {
  Values values;
  std::string where;
  const auto condition = [&](const std::string& text) {
    where += (where.empty() ? " WHERE " : " AND ") + text;
  };
  if (query.done) {
    values.push_back(to_value(query.done));
    condition("done = $1");
  }
  if (query.after) {
    values.emplace_back(query.after->created_at);
    values.emplace_back(query.after->id);
    const std::size_t last = values.size();
    condition("(created_at, id) > ($" + std::to_string(last - 1) + ", $" + std::to_string(last) +
              ")");
  }
  auto rows = run("SELECT " + columns() + " FROM todos" + where +
                      " ORDER BY created_at, id LIMIT " + std::to_string(query.limit),
                  values);
  if (!rows) return rows.error();
  std::vector<Todo> todos;
  for (const auto& row : rows->rows) todos.push_back(to_todo(row));
  return todos;
}

Expected<std::optional<Todo>> Store::find(const std::string& id) {
  return run_for_one("SELECT " + columns() + " FROM todos WHERE id = $1", {id});
}

Expected<std::optional<Todo>> Store::change(const std::string& id,
                                            const std::optional<std::string>& title,
                                            std::optional<bool> done) {
  return run_for_one(
      "UPDATE todos SET title = COALESCE($1, title), done = COALESCE($2, done), updated_at = now()"
      " WHERE id = $3 RETURNING " +
          columns(),
      {title, to_value(done), id});
}

Expected<std::optional<Todo>> Store::erase(const std::string& id) {
  return run_for_one("DELETE FROM todos WHERE id = $1 RETURNING " + columns(), {id});
}

Expected<std::optional<Todo>> Store::run_for_one(const std::string& sql, const Values& values) {
  auto rows = run(sql, values);
  if (!rows) return rows.error();
  if (rows->rows.empty()) return std::optional<Todo>();
  return std::optional<Todo>(to_todo(rows->rows.front()));
}

Store::Rows Store::run(const std::string& sql, const Values& values) {
  // Many short attempts rather than few long ones: all of them end well within the timeout of 5 s.
  const function_kit::RetryPolicy policy{
      .attempts = 20, .backoff_max = std::chrono::milliseconds(200), .lost_connection = true};
  return function_kit::retry(policy, [&] { return run_once(sql, values); });
}

Store::Rows Store::run_once(const std::string& sql, const Values& values) {
  if (auto error = make_schema()) return *error;
  auto rows = connection_.execute(sql, values);
  if (!rows && rows.error().sqlstate == kUndefinedTable) {
    // Dropped since: made anew once, then whatever the statement says.
    schema_made_ = false;
    if (auto error = make_schema()) return *error;
    rows = connection_.execute(sql, values);
  }
  return rows;
}

/// Makes table and index if they are absent. Each statement is a transaction of its own, for DSQL
/// takes one DDL in each; of two that race, the loser gets 40001 and finds the work done when it is
/// run again.
std::optional<Error> Store::make_schema() {
  if (schema_made_) return std::nullopt;
  auto present = connection_.execute(
      "SELECT count(*) FROM pg_class WHERE relname IN ('todos', 'todos_by_time')");
  if (!present) return present.error();
  if (present->rows[0][0] != "2") {
    for (const char* statement : kSchema) {
      auto made = connection_.execute(statement);
      const bool raced =
          !made && (made.error().sqlstate == "42P07" || made.error().sqlstate == "23505");
      if (!made && !raced) return made.error();
    }
  }
  schema_made_ = true;
  return std::nullopt;
}

}  // namespace todos
