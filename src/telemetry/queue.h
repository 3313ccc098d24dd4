#pragma once

#include "telemetry/store.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace zorya::telemetry {

/// What waits to be written: a log event, or a segment document.
using Record = std::variant<LogEvent, std::string>;

/// The bounded queue between those who report and the one writer. Putting costs a mutex and a move;
/// the writer is woken once per batch, not per record.
class Queue {
 public:
  explicit Queue(Limits limits) : limits_(limits) {}

  /// Any thread. A full or stopped queue drops and counts.
  void put(Record record) noexcept;

  /// The writer: waits for records, gathers for a batch window, takes all. Nothing: stopped and
  /// empty.
  std::optional<std::vector<Record>> take();
  /// The writer: what was taken last is dealt with.
  void written();

  /// Takes no more in; what waits is still given out. The writer has two seconds for it.
  void stop();
  [[nodiscard]] bool is_out_of_time() const;

  /// Waits until what was put before the call is written; false after `timeout`.
  bool wait_drained(std::chrono::milliseconds timeout);

  [[nodiscard]] std::uint64_t dropped() const;

 private:
  const Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable wake_writer_;
  std::condition_variable wake_waiters_;
  std::vector<Record> pending_;
  std::size_t pending_size_bytes_ = 0;
  std::uint64_t put_count_ = 0;
  std::uint64_t written_count_ = 0;
  std::uint64_t taken_count_ = 0;
  std::uint64_t dropped_ = 0;
  int waiter_count_ = 0;
  bool writer_waits_ = false;
  std::optional<std::chrono::steady_clock::time_point> stop_deadline_;
};

}  // namespace zorya::telemetry
