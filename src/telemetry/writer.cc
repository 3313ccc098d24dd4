#include "telemetry/writer.h"

#include "base/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

namespace zorya::telemetry {
namespace {

constexpr std::size_t kStreamIdsMax = 4096;  // remembered; beyond, the map starts anew
constexpr std::size_t kNameSizeMax = 512;    // of a group or stream, as in CloudWatch Logs

constexpr const char* kTables = R"(
CREATE TABLE stream(id INTEGER PRIMARY KEY, log_group TEXT NOT NULL, name TEXT NOT NULL,
  UNIQUE(log_group, name));
CREATE TABLE log(id INTEGER PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL,
  stream INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX log_stream ON log(stream, id);
CREATE TABLE segment(id INTEGER PRIMARY KEY AUTOINCREMENT, trace TEXT NOT NULL,
  segment TEXT NOT NULL, document TEXT NOT NULL, UNIQUE(trace, segment));
CREATE TABLE trace(id TEXT PRIMARY KEY, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL,
  root_rank INTEGER NOT NULL, root_start_us INTEGER NOT NULL, root_name TEXT NOT NULL,
  method TEXT NOT NULL, url TEXT NOT NULL, status INTEGER NOT NULL, error INTEGER NOT NULL,
  fault INTEGER NOT NULL, throttle INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX trace_start ON trace(start_us);
)";

// The root is the document without a parent; before it has come, the earliest one stands for it.
constexpr const char* kUpsertTrace = R"(
INSERT INTO trace VALUES(?1, ?2, ?3, ?4, ?2, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT(id) DO UPDATE SET
  start_us = min(start_us, excluded.start_us), end_us = max(end_us, excluded.end_us),
  error = error | excluded.error, fault = fault | excluded.fault,
  throttle = throttle | excluded.throttle,
  (root_rank, root_start_us, root_name, method, url, status) = (
    SELECT excluded.root_rank, excluded.root_start_us, excluded.root_name, excluded.method,
           excluded.url, excluded.status
    WHERE (-excluded.root_rank, excluded.root_start_us) <= (-trace.root_rank, trace.root_start_us)
    UNION ALL
    SELECT trace.root_rank, trace.root_start_us, trace.root_name, trace.method, trace.url,
           trace.status
    LIMIT 1)
)";

std::int64_t microseconds(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

/// At most `size_max` bytes, not cut inside a UTF-8 character.
std::string_view cut(std::string_view text, std::size_t size_max) {
  if (text.size() <= size_max) return text;
  std::size_t size = size_max;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

bool any(const Segment& segment, bool Segment::*flag) {
  return segment.*flag || std::any_of(segment.children.begin(), segment.children.end(),
                                      [&](const Segment& child) { return any(child, flag); });
}

std::filesystem::path with_suffix(const std::filesystem::path& path, const std::string& suffix) {
  return path.string() + suffix;
}

/// Earlier files set aside, so that only one is kept: each may be as big as the bound.
void remove_earlier_set_aside(const std::filesystem::path& path) {
  const std::string prefix = path.filename().string() + ".set-aside-";
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
  }
  for (const auto& old : found) std::filesystem::remove(old, error);
}

}  // namespace

base::Result<Writer> Writer::open(const std::filesystem::path& path, Limits limits) {
  Writer writer(path, limits);
  ZORYA_TRY(writer.connect());
  return writer;
}

base::Result<void> Writer::connect() {
  auto prepared = prepare_file();
  if (!prepared && database_ && database_->is_damaged()) {
    ZORYA_TRY(set_aside(prepared.error().message));
    prepared = prepare_file();
  }
  ZORYA_TRY(std::move(prepared));
  return prepare_statements();
}

base::Result<void> Writer::prepare_file() {
  prepared_.reset();
  database_.reset();
  const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return base::errno_error("open " + path_.string(), errno);
  ::fchmod(fd, 0600);
  ::close(fd);
  ZORYA_ASSIGN(auto database, Database::open(path_, Database::Mode::kReadWriteCreate));
  database_.emplace(std::move(database));
  ZORYA_ASSIGN(const std::int64_t tables, database_->integer("SELECT count(*) FROM sqlite_schema"));
  ZORYA_ASSIGN(const std::int64_t version, database_->integer("PRAGMA user_version"));
  if (tables != 0 && version != kFormatVersion) {
    ZORYA_TRY(set_aside("its format is version " + std::to_string(version) + ", not " +
                        std::to_string(kFormatVersion)));
    return prepare_file();
  }
  const std::uint64_t pages_max = limits_.file_size_bytes_max / 4096 * 5 / 4 + 64;
  ZORYA_TRY(database_->execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY;"
      "PRAGMA cache_size=-2048; PRAGMA wal_autocheckpoint=2000;"
      "PRAGMA journal_size_limit=8388608; PRAGMA max_page_count=" +
      std::to_string(pages_max)));
  if (tables != 0) return {};
  return database_->execute(std::string("BEGIN IMMEDIATE;") + kTables +
                            "PRAGMA user_version=" + std::to_string(kFormatVersion) + ";COMMIT");
}

base::Result<void> Writer::prepare_statements() {
  Database& database = *database_;
  stream_ids_.clear();
  ZORYA_ASSIGN(auto insert_stream,
               database.prepare("INSERT OR IGNORE INTO stream(log_group, name) VALUES(?1, ?2)"));
  ZORYA_ASSIGN(auto find_stream,
               database.prepare("SELECT id FROM stream WHERE log_group = ?1 AND name = ?2"));
  ZORYA_ASSIGN(auto insert_log,
               database.prepare("INSERT INTO log(time_us, stream, message) VALUES(?1, ?2, ?3)"));
  ZORYA_ASSIGN(auto insert_segment,
               database.prepare("INSERT INTO segment(trace, segment, document) VALUES(?1, ?2, ?3) "
                                "ON CONFLICT DO UPDATE SET document = excluded.document"));
  ZORYA_ASSIGN(auto upsert, database.prepare(kUpsertTrace));
  prepared_.emplace(Prepared{std::move(insert_stream), std::move(find_stream),
                             std::move(insert_log), std::move(insert_segment), std::move(upsert)});
  return {};
}

base::Result<void> Writer::set_aside(const std::string& why) {
  prepared_.reset();
  database_.reset();
  remove_earlier_set_aside(path_);
  const auto target = with_suffix(path_, ".set-aside-" + std::to_string(std::time(nullptr)));
  if (::rename(path_.c_str(), target.c_str()) != 0) {
    return base::errno_error("set aside " + path_.string(), errno);
  }
  for (const char* suffix : {"-wal", "-shm"}) {
    std::error_code ignored;
    std::filesystem::remove(with_suffix(path_, suffix), ignored);
  }
  base::log(base::LogLevel::kWarning, "telemetry",
            "logs and traces so far are set aside as " + target.string() + ": " + why);
  return {};
}

void Writer::write(std::span<Record> records) {
  if (!prepared_) {
    if (auto connected = connect(); !connected) return failed(connected.error(), records.size());
  }
  logs_in_batch_ = segments_in_batch_ = 0;
  auto written = try_write(records);
  if (!written) {
    const bool is_damaged = database_->is_damaged();
    [[maybe_unused]] const auto rolled_back = database_->execute("ROLLBACK");
    stream_ids_.clear();  // some of them may not have been committed
    if (is_damaged) {
      [[maybe_unused]] const auto aside = set_aside(written.error().message);
    }
    return failed(written.error(), records.size());
  }
  counts_->logs += logs_in_batch_;
  counts_->segments += segments_in_batch_;
  if (is_failing_) {
    base::log(base::LogLevel::kInfo, "telemetry",
              "logs and traces are written again; " + std::to_string(lost_while_failing_) +
                  " records were lost");
    is_failing_ = false;
    lost_while_failing_ = 0;
  }
}

void Writer::failed(const base::Error& error, std::size_t lost) {
  counts_->failed += lost;
  lost_while_failing_ += lost;
  if (is_failing_) return;
  is_failing_ = true;
  base::log(base::LogLevel::kError, "telemetry",
            "logs and traces are being lost: " + base::to_string(error));
}

void Writer::drop(std::span<Record> records) { counts_->failed += records.size(); }

base::Result<void> Writer::try_write(std::span<Record> records) {
  ZORYA_TRY(database_->execute("BEGIN IMMEDIATE"));
  for (const Record& record : records) {
    if (const auto* event = std::get_if<LogEvent>(&record)) {
      ZORYA_TRY(write_log(*event));
    } else {
      ZORYA_TRY(write_segment(std::get<std::string>(record)));
    }
  }
  ZORYA_TRY(keep_within_bound());
  return database_->execute("COMMIT");
}

base::Result<std::int64_t> Writer::stream_id(const LogEvent& event) {
  const auto key = std::pair(std::string(cut(event.group, kNameSizeMax)),
                             std::string(cut(event.stream, kNameSizeMax)));
  if (const auto known = stream_ids_.find(key); known != stream_ids_.end()) return known->second;
  ZORYA_TRY(prepared_->insert_stream.bind(1, key.first).bind(2, key.second).run());
  Statement& find = prepared_->find_stream.bind(1, key.first).bind(2, key.second);
  ZORYA_ASSIGN(const bool row, find.step());
  const std::int64_t id = row ? find.integer(0) : 0;
  find.reset();
  if (stream_ids_.size() >= kStreamIdsMax) stream_ids_.clear();
  stream_ids_.emplace(key, id);
  return id;
}

base::Result<void> Writer::write_log(const LogEvent& event) {
  ZORYA_ASSIGN(const std::int64_t stream, stream_id(event));
  ++logs_in_batch_;
  return prepared_->insert_log.bind(1, microseconds(event.time))
      .bind(2, stream)
      .bind(3, cut(event.message, limits_.log_message_size_bytes_max))
      .run();
}

base::Result<void> Writer::write_segment(const std::string& document) {
  const auto segment = parse_segment(document, limits_.segment_size_bytes_max);
  if (!segment) {
    // A function can send anything: one line for the first, counted for all.
    if (counts_->refused++ == 0) {
      base::log(base::LogLevel::kWarning, "telemetry", base::to_string(segment.error()));
    }
    return {};
  }
  ++segments_in_batch_;
  ZORYA_TRY(prepared_->insert_segment.bind(1, segment->trace_id)
                .bind(2, segment->id)
                .bind(3, document)
                .run());
  return upsert_trace(*segment);
}

base::Result<void> Writer::upsert_trace(const Segment& segment) {
  return prepared_->upsert_trace.bind(1, segment.trace_id)
      .bind(2, microseconds(segment.start))
      .bind(3, microseconds(segment.end))
      .bind(4, std::int64_t{segment.parent_id.empty()})
      .bind(5, segment.name)
      .bind(6, segment.http_method)
      .bind(7, segment.http_url)
      .bind(8, std::int64_t{segment.http_status})
      .bind(9, std::int64_t{any(segment, &Segment::error)})
      .bind(10, std::int64_t{any(segment, &Segment::fault)})
      .bind(11, std::int64_t{any(segment, &Segment::throttle)})
      .run();
}

base::Result<void> Writer::keep_within_bound() {
  ZORYA_ASSIGN(const std::int64_t page_size, database_->integer("PRAGMA page_size"));
  const auto pages_max =
      static_cast<std::int64_t>(limits_.file_size_bytes_max) / std::max<std::int64_t>(page_size, 1);
  // Each round gives up the oldest eighth; a few rounds are plenty for one batch.
  for (int round = 0; round < 16; ++round) {
    ZORYA_ASSIGN(const std::int64_t used, database_->integer("PRAGMA page_count"));
    ZORYA_ASSIGN(const std::int64_t unused, database_->integer("PRAGMA freelist_count"));
    if (used - unused <= pages_max) return {};
    ZORYA_ASSIGN(const std::int64_t before, database_->integer("SELECT total_changes()"));
    ZORYA_TRY(database_->execute(
        "DELETE FROM log WHERE id <= (SELECT min(id) + (max(id) - min(id)) / 8 FROM log);"
        "DELETE FROM segment WHERE trace IN (SELECT id FROM trace ORDER BY start_us"
        "  LIMIT (SELECT count(*) / 8 + 1 FROM trace));"
        "DELETE FROM trace WHERE id IN (SELECT id FROM trace ORDER BY start_us"
        "  LIMIT (SELECT count(*) / 8 + 1 FROM trace));"
        "DELETE FROM stream WHERE id NOT IN (SELECT stream FROM log)"));
    stream_ids_.clear();
    ZORYA_ASSIGN(const std::int64_t after, database_->integer("SELECT total_changes()"));
    counts_->removed += static_cast<std::uint64_t>(after - before);
  }
  return {};
}

Counters Writer::counters() const {
  Counters counters;
  counters.logs_written = counts_->logs;
  counters.segments_written = counts_->segments;
  counters.dropped_write_failed = counts_->failed;
  counters.segments_refused = counts_->refused;
  counters.removed_oldest = counts_->removed;
  return counters;
}

}  // namespace zorya::telemetry
