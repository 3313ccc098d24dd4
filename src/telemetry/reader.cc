#include "telemetry/reader.h"

#include "telemetry/database.h"

#include <algorithm>

namespace zorya::telemetry {
namespace {

constexpr std::size_t kLogPageMax = 10000;
constexpr std::size_t kTracesMax = 1000;
constexpr std::size_t kDocumentsMax = 2000;  // of one trace; later ones are not shown

std::int64_t microseconds(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

std::chrono::system_clock::time_point time_of(std::int64_t microseconds_since_epoch) {
  return std::chrono::system_clock::time_point(std::chrono::microseconds(microseconds_since_epoch));
}

std::string log_sql(const LogQuery& query) {
  std::string sql =
      "SELECT log.id, time_us, log_group, name, message FROM log JOIN stream ON stream.id = stream "
      "WHERE log.id > ?1";
  if (!query.group.empty()) sql += " AND log_group = ?2";
  if (!query.stream.empty()) sql += " AND name = ?3";
  if (query.since) sql += " AND time_us >= ?4";
  if (query.until) sql += " AND time_us < ?5";
  if (!query.contains.empty()) sql += " AND instr(message, ?6) > 0";
  sql += query.newest ? " ORDER BY log.id DESC LIMIT ?7" : " ORDER BY log.id LIMIT ?7";
  return sql;
}

class SqliteReader final : public Reader {
 public:
  explicit SqliteReader(Database database) : database_(std::move(database)) {}

  base::Result<LogPage> logs(const LogQuery& query) override {
    ZORYA_ASSIGN(auto statement, database_.prepare(log_sql(query)));
    statement.bind(1, query.after).bind(2, query.group).bind(3, query.stream);
    statement.bind(4, microseconds(query.since.value_or(time_of(0))));
    statement.bind(5, microseconds(query.until.value_or(time_of(0))));
    statement.bind(6, query.contains);
    statement.bind(7, static_cast<std::int64_t>(std::min(query.limit, kLogPageMax)));
    LogPage page;
    page.cursor = query.after;
    while (true) {
      ZORYA_ASSIGN(const bool row, statement.step());
      if (!row) break;
      page.cursor = std::max(page.cursor, statement.integer(0));
      page.events.push_back(LogEvent{time_of(statement.integer(1)), statement.text(2),
                                     statement.text(3), statement.text(4)});
    }
    if (query.newest) std::reverse(page.events.begin(), page.events.end());
    return page;
  }

  base::Result<std::vector<std::string>> groups() override {
    ZORYA_ASSIGN(auto statement,
                 database_.prepare("SELECT DISTINCT log_group FROM stream ORDER BY log_group"));
    std::vector<std::string> groups;
    while (true) {
      ZORYA_ASSIGN(const bool row, statement.step());
      if (!row) return groups;
      groups.push_back(statement.text(0));
    }
  }

  base::Result<std::vector<TraceSummary>> traces(std::size_t limit) override {
    ZORYA_ASSIGN(auto statement,
                 database_.prepare(
                     "SELECT id, start_us, end_us, root_name, method, url, status, error, fault, "
                     "throttle, (SELECT count(*) FROM segment WHERE trace = trace.id) "
                     "FROM trace ORDER BY start_us DESC LIMIT ?1"));
    statement.bind(1, static_cast<std::int64_t>(std::min(limit, kTracesMax)));
    std::vector<TraceSummary> traces;
    while (true) {
      ZORYA_ASSIGN(const bool row, statement.step());
      if (!row) return traces;
      traces.push_back(summary_of(statement));
    }
  }

  base::Result<std::vector<Segment>> trace(std::string_view trace_id) override {
    ZORYA_ASSIGN(auto statement, database_.prepare("SELECT document FROM segment WHERE trace = ?1 "
                                                   "ORDER BY id LIMIT ?2"));
    statement.bind(1, trace_id).bind(2, static_cast<std::int64_t>(kDocumentsMax));
    std::vector<Segment> documents;
    while (true) {
      ZORYA_ASSIGN(const bool row, statement.step());
      if (!row) break;
      const std::string document = statement.text(0);
      ZORYA_ASSIGN(auto segment, parse_segment(document, document.size()));
      documents.push_back(std::move(segment));
    }
    if (documents.empty()) {
      return base::Error{base::Code::kNotFound, "no trace " + std::string(trace_id), {}};
    }
    return assemble_trace(std::move(documents));
  }

 private:
  static TraceSummary summary_of(const Statement& row) {
    TraceSummary summary;
    summary.trace_id = row.text(0);
    summary.start = time_of(row.integer(1));
    summary.duration = std::chrono::microseconds(row.integer(2) - row.integer(1));
    summary.root_name = row.text(3);
    summary.http_method = row.text(4);
    summary.http_url = row.text(5);
    summary.http_status = static_cast<int>(row.integer(6));
    summary.error = row.integer(7) != 0;
    summary.fault = row.integer(8) != 0;
    summary.throttle = row.integer(9) != 0;
    summary.segment_count = static_cast<int>(row.integer(10));
    return summary;
  }

  Database database_;
};

}  // namespace

base::Result<std::unique_ptr<Reader>> Reader::open(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return base::Error{base::Code::kNotFound, "no telemetry at " + path.string(), {}};
  }
  ZORYA_ASSIGN(auto database, Database::open(path, Database::Mode::kReadOnly));
  const auto version = database.integer("PRAGMA user_version");
  if (!version && !database.is_damaged()) return version.error();
  if (!version || *version != kFormatVersion) {
    return base::Error{base::Code::kFailedPrecondition,
                       path.string() + " is not a telemetry file of this version",
                       {}};
  }
  return std::unique_ptr<Reader>(std::make_unique<SqliteReader>(std::move(database)));
}

}  // namespace zorya::telemetry
