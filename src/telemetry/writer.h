#pragma once

#include "telemetry/database.h"
#include "telemetry/queue.h"
#include "telemetry/segment.h"
#include "telemetry/store.h"

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace zorya::telemetry {

/// Writes records into the file and keeps it within its bound. One thread, but for counters().
class Writer {
 public:
  static base::Result<Writer> open(const std::filesystem::path& path, Limits limits);

  /// One transaction. What cannot be written is dropped and counted; said once until it works
  /// again.
  void write(std::span<Record> records);
  /// Counts them as lost without trying.
  void drop(std::span<Record> records);

  [[nodiscard]] Counters counters() const;  // any thread

 private:
  struct Prepared {
    Statement insert_stream;
    Statement find_stream;
    Statement insert_log;
    Statement insert_segment;
    Statement upsert_trace;
  };
  struct Counts {
    std::atomic<std::uint64_t> logs{0}, segments{0}, failed{0}, refused{0}, removed{0};
  };

  Writer(std::filesystem::path path, Limits limits)
      : path_(std::move(path)), limits_(limits), counts_(std::make_unique<Counts>()) {}

  base::Result<void> connect();
  base::Result<void> prepare_file();
  base::Result<void> prepare_statements();
  base::Result<void> set_aside(const std::string& why);

  base::Result<void> try_write(std::span<Record> records);
  base::Result<void> write_log(const LogEvent& event);
  base::Result<void> write_segment(const std::string& document);
  base::Result<void> upsert_trace(const Segment& segment);
  base::Result<std::int64_t> stream_id(const LogEvent& event);
  base::Result<void> keep_within_bound();
  void failed(const base::Error& error, std::size_t lost);

  std::filesystem::path path_;
  Limits limits_;
  std::optional<Database> database_;
  std::optional<Prepared> prepared_;
  std::map<std::pair<std::string, std::string>, std::int64_t> stream_ids_;
  std::unique_ptr<Counts> counts_;
  bool is_failing_ = false;
  std::uint64_t lost_while_failing_ = 0;
  std::uint64_t logs_in_batch_ = 0;
  std::uint64_t segments_in_batch_ = 0;
};

}  // namespace zorya::telemetry
