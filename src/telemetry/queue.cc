#include "telemetry/queue.h"

#include <utility>

namespace zorya::telemetry {
namespace {

constexpr std::chrono::seconds kStopTime{2};

std::size_t size_bytes_of(const Record& record) {
  if (const auto* document = std::get_if<std::string>(&record)) return document->size();
  const auto& event = std::get<LogEvent>(record);
  return event.group.size() + event.stream.size() + event.message.size();
}

}  // namespace

void Queue::put(Record record) noexcept {
  const std::size_t size_bytes = size_bytes_of(record);
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    const bool is_full = pending_.size() >= limits_.queue_records_max ||
                         pending_size_bytes_ + size_bytes > limits_.queue_size_bytes_max;
    if (is_full || stop_deadline_) {
      ++dropped_;
      return;
    }
    try {
      pending_.push_back(std::move(record));
    } catch (...) {  // out of memory
      ++dropped_;
      return;
    }
    pending_size_bytes_ += size_bytes;
    ++put_count_;
    wake = std::exchange(writer_waits_, false);
  }
  if (wake) wake_writer_.notify_one();
}

std::optional<std::vector<Record>> Queue::take() {
  std::unique_lock lock(mutex_);
  while (pending_.empty()) {
    if (stop_deadline_) return std::nullopt;
    writer_waits_ = true;
    wake_writer_.wait(lock);
  }
  writer_waits_ = false;
  // Gathers more, unless somebody waits for the end.
  wake_writer_.wait_for(lock, limits_.batch_window,
                        [this] { return stop_deadline_ || waiter_count_ > 0; });
  std::vector<Record> batch = std::exchange(pending_, {});
  pending_size_bytes_ = 0;
  taken_count_ = put_count_;
  return batch;
}

void Queue::written() {
  {
    const std::lock_guard lock(mutex_);
    written_count_ = taken_count_;
  }
  wake_waiters_.notify_all();
}

void Queue::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_deadline_ = std::chrono::steady_clock::now() + kStopTime;
  }
  wake_writer_.notify_one();
}

bool Queue::is_out_of_time() const {
  const std::lock_guard lock(mutex_);
  return stop_deadline_ && std::chrono::steady_clock::now() > *stop_deadline_;
}

bool Queue::wait_drained(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const std::uint64_t target = put_count_;
  ++waiter_count_;
  wake_writer_.notify_one();
  const bool drained =
      wake_waiters_.wait_for(lock, timeout, [&] { return written_count_ >= target; });
  --waiter_count_;
  return drained;
}

std::uint64_t Queue::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace zorya::telemetry
