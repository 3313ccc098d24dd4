#include "telemetry/store.h"

#include "base/log.h"
#include "telemetry/queue.h"
#include "telemetry/writer.h"

#include <thread>
#include <utility>

namespace zorya::telemetry {
namespace {

class SqliteStore final : public Store {
 public:
  SqliteStore(Writer writer, Limits limits)
      : limits_(limits), queue_(limits), writer_(std::move(writer)), thread_([this] { run(); }) {}

  ~SqliteStore() override {
    queue_.stop();
    thread_.join();
  }
  SqliteStore(const SqliteStore&) = delete;
  SqliteStore& operator=(const SqliteStore&) = delete;

  void log(LogEvent event) noexcept override { queue_.put(std::move(event)); }
  void segment(std::string document) noexcept override { queue_.put(std::move(document)); }

  bool flush(std::chrono::milliseconds timeout) override { return queue_.wait_drained(timeout); }

  [[nodiscard]] Counters counters() const override {
    Counters counters = writer_.counters();
    counters.dropped_queue_full = queue_.dropped();
    return counters;
  }

 private:
  static constexpr std::size_t kChunkRecords = 1000;  // in one transaction

  void run() {
    std::uint64_t dropped_said = 0;
    while (auto batch = queue_.take()) {
      write(*batch);
      queue_.written();
      if (const std::uint64_t dropped = queue_.dropped(); dropped != dropped_said) {
        base::log(base::LogLevel::kWarning, "telemetry",
                  std::to_string(dropped - dropped_said) +
                      " records dropped: more came in than could be written");
        dropped_said = dropped;
      }
    }
  }

  void write(std::vector<Record>& batch) {
    for (std::size_t begin = 0; begin < batch.size(); begin += kChunkRecords) {
      const std::size_t count = std::min(kChunkRecords, batch.size() - begin);
      const std::span<Record> chunk = std::span(batch).subspan(begin, count);
      if (queue_.is_out_of_time()) {
        writer_.drop(chunk);
      } else {
        writer_.write(chunk);
      }
    }
  }

  const Limits limits_;
  Queue queue_;
  Writer writer_;
  std::thread thread_;  // last: it uses all others
};

}  // namespace

base::Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& path, Limits limits) {
  ZORYA_ASSIGN(Writer writer, Writer::open(path, limits));
  return std::unique_ptr<Store>(std::make_unique<SqliteStore>(std::move(writer), limits));
}

}  // namespace zorya::telemetry
