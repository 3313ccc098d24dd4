#pragma once

#include "base/result.h"
#include "telemetry/sink.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace zorya::telemetry {

/// What the store may use; every bound that is hit is counted and said once.
struct Limits {
  std::uint64_t file_size_bytes_max = 256u << 20;  // of the database; beyond it the oldest go
  std::size_t queue_records_max = 65536;           // waiting for the writer; beyond it records drop
  std::size_t queue_size_bytes_max = 32u << 20;
  std::size_t log_message_size_bytes_max = 256u << 10;  // longer messages are cut
  std::size_t segment_size_bytes_max = 64u << 10;       // longer documents are refused
  std::chrono::milliseconds batch_window{20};  // how long a batch is gathered before it is written
};

/// What became of the records so far.
struct Counters {
  std::uint64_t logs_written = 0;
  std::uint64_t segments_written = 0;
  std::uint64_t dropped_queue_full = 0;
  std::uint64_t dropped_write_failed = 0;  // disk full, I/O error
  std::uint64_t segments_refused = 0;      // not a segment document, or too long
  std::uint64_t removed_oldest = 0;        // given up to stay within file_size_bytes_max
};

/// Keeps logs and segments in one SQLite file (WAL, mode 0600). Taking in never waits for the disk:
/// one writer thread drains a bounded queue in batches. A disk that is full or fails loses
/// telemetry, says so once in the log, and nothing else; writing goes on when there is room again.
/// Readers (also of other processes) open the file by `Reader`. The format is in
/// docs/formats/telemetry.md.
class Store : public Sink {
 public:
  /// Makes the file if it is absent. A file that is no database of ours, is damaged or has another
  /// format version is set aside as "<path>.set-aside-<time>", with a log line. kIo when there is
  /// no way to write there at all.
  static base::Result<std::unique_ptr<Store>> open(const std::filesystem::path& path,
                                                   Limits limits = {});
  ~Store() override = default;  // writes what waits, at most two seconds, then closes

  /// Waits until everything taken in before the call is written or dropped; false after `timeout`.
  virtual bool flush(std::chrono::milliseconds timeout) = 0;

  [[nodiscard]] virtual Counters counters() const = 0;  // any thread
};

}  // namespace zorya::telemetry
