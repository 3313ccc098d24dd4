#include "load.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

namespace zorya::history {
namespace {

constexpr std::uint32_t kSlotCount = 12;      // lists in use at a time: few, so that clients meet
constexpr std::uint32_t kListLengthMax = 40;  // then the slot gets a new list
constexpr Key kKeysPerSlot = 1'000'000;
constexpr int kStepsMax = 5;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct ConnectionCloser {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ResultClearer {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, ConnectionCloser>;
using Answer = std::unique_ptr<PGresult, ResultClearer>;

/// What all clients share.
struct Shared {
  explicit Shared(const LoadOptions& given) : options(given) {}

  const LoadOptions& options;
  std::atomic<std::uint32_t> next_transaction{0};
  std::array<std::atomic<Key>, kSlotCount> generations{};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::string failure;  // of the first client that failed
  std::vector<std::string> oddities;
  std::vector<Transaction> transactions;  // each written by the client that took its number

  void fail(const std::string& what) {
    const std::lock_guard lock(mutex);
    if (failure.empty()) failure = what;
    failed = true;
  }

  Key key_of(std::uint32_t slot) const { return slot * kKeysPerSlot + generations.at(slot); }
  void retire(Key key) {
    Key generation = key % kKeysPerSlot;
    generations.at(key / kKeysPerSlot).compare_exchange_strong(generation, generation + 1);
  }
};

/// A list as the table has it: "1,2,3".
struct Text {
  std::string text;
  std::uint32_t length = 0;
  std::uint64_t digest = kEmptyDigest;
  bool has_row = false;
};

std::vector<Value> parse(std::string_view text) {
  std::vector<Value> values;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    Value value = 0;
    at = std::from_chars(at, end, value).ptr + 1;
    values.push_back(value);
  }
  return values;
}

Text text_of(const char* text) {
  const std::vector<Value> values = parse(text);
  return {text, static_cast<std::uint32_t>(values.size()), digest_of(values), true};
}

class Client {
 public:
  Client(Shared* shared, std::uint64_t seed) : shared_(*shared), dice_(seed) {}

  void run() {
    if (!connect()) return;
    while (!shared_.failed) {
      const std::uint32_t index = shared_.next_transaction++;
      if (index >= shared_.options.transaction_count) return;
      index_ = index;
      values_used_ = 0;
      doing_ = {};
      run_transaction();
      shared_.transactions[index] = std::move(doing_);
    }
  }

 private:
  enum class Step { kDone, kRefused, kLost, kFailed };

  bool connect() {
    connection_.reset(PQconnectdb(shared_.options.connection.c_str()));
    if (PQstatus(connection_.get()) != CONNECTION_OK) {
      shared_.fail(fmt::format("connect: {}", PQerrorMessage(connection_.get())));
      return false;
    }
    return true;
  }

  std::uint32_t roll(std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(dice_);
  }

  void run_transaction() {
    doing_.began_ns = now_ns();
    Step step = execute("BEGIN ISOLATION LEVEL " + shared_.options.isolation);
    const auto steps = 1 + static_cast<int>(roll(kStepsMax));
    for (int i = 0; i < steps && step == Step::kDone; ++i) step = take_step();
    if (step == Step::kDone && roll(20) != 0) {
      step = execute("COMMIT");
      // A COMMIT of a failed block answers ROLLBACK.
      if (step == Step::kDone && tag_ == "COMMIT") doing_.outcome = Outcome::kCommitted;
      if (step == Step::kLost) doing_.outcome = Outcome::kUnknown;
    } else if (step == Step::kDone || step == Step::kRefused) {
      execute("ROLLBACK");
    }
    doing_.ended_ns = now_ns();
    if (PQstatus(connection_.get()) != CONNECTION_OK && !shared_.failed) connect();
  }

  Step take_step() {
    switch (roll(8)) {
      case 0:
      case 1:
        return read_one(shared_.key_of(roll(kSlotCount)), /*locked=*/false).second;
      case 2:
        return read_one(shared_.key_of(roll(kSlotCount)), /*locked=*/true).second;
      case 3:
        return read_several();
      case 4:
        return append_in_place(shared_.key_of(roll(kSlotCount)));
      case 5:
        return upsert(shared_.key_of(roll(kSlotCount)));
      case 6:
        return replace_row(shared_.key_of(roll(kSlotCount)));
      default:
        return read_and_write_back(shared_.key_of(roll(kSlotCount)));
    }
  }

  // ------------------------------------------------------------------ reads

  void note_read(Key key, const Text& seen, bool locked) {
    // A lock clause on a row that is not there marks nothing.
    const bool marks = locked && seen.has_row;
    doing_.operations.push_back({marks ? Operation::Kind::kLockedRead : Operation::Kind::kRead, key,
                                 seen.length, seen.digest, 0});
    if (seen.length >= kListLengthMax) shared_.retire(key);
  }

  std::pair<Text, Step> read_one(Key key, bool locked) {
    const Step step = execute(fmt::format("SELECT list FROM {} WHERE k = {}{}",
                                          shared_.options.table, key, locked ? " FOR UPDATE" : ""));
    if (step != Step::kDone) return {{}, step};
    Text seen;
    if (PQntuples(answer_.get()) > 0) seen = text_of(PQgetvalue(answer_.get(), 0, 0));
    note_read(key, seen, locked);
    return {seen, Step::kDone};
  }

  /// The lists of all slots by one statement.
  Step read_several() {
    std::string keys;
    std::vector<Key> asked;
    for (std::uint32_t slot = 0; slot < kSlotCount; ++slot) {
      asked.push_back(shared_.key_of(slot));
      keys += fmt::format("{}{}", slot == 0 ? "" : ",", asked.back());
    }
    const Step step =
        execute(fmt::format("SELECT k, list FROM {} WHERE k IN ({})", shared_.options.table, keys));
    if (step != Step::kDone) return step;
    for (const Key key : asked) {
      Text seen;
      for (int row = 0; row < PQntuples(answer_.get()); ++row) {
        if (PQgetvalue(answer_.get(), row, 0) == std::to_string(key))
          seen = text_of(PQgetvalue(answer_.get(), row, 1));
      }
      note_read(key, seen, /*locked=*/false);
    }
    return Step::kDone;
  }

  // ------------------------------------------------------------------ appends

  std::optional<Value> new_value() {
    if (values_used_ + 1 >= kValuesPerTransaction) return std::nullopt;
    return index_ * kValuesPerTransaction + values_used_++;
  }

  void note_append(Key key, Value value) {
    doing_.operations.push_back({Operation::Kind::kAppend, key, 0, 0, value});
  }

  /// Read in the client, changed there, written back: what lost updates are made of.
  Step read_and_write_back(Key key) {
    const auto [seen, step] = read_one(key, /*locked=*/false);
    const auto value = new_value();
    if (step != Step::kDone || !value) return step;
    note_append(key, *value);
    if (!seen.has_row) return insert(key, fmt::format("{}", *value));
    const Step written = execute(fmt::format("UPDATE {} SET list = '{},{}' WHERE k = {}",
                                             shared_.options.table, seen.text, *value, key));
    return written == Step::kDone && tag_ != "UPDATE 1" ? note_odd_count() : written;
  }

  Step append_in_place(Key key) {
    const auto value = new_value();
    if (!value) return Step::kDone;
    const Step step =
        execute(fmt::format("UPDATE {} SET list = list || ',{}' WHERE k = {} RETURNING list",
                            shared_.options.table, *value, key));
    if (step != Step::kDone) return step;
    if (PQntuples(answer_.get()) == 0) {  // no such row: a read of an empty list
      note_read(key, {}, /*locked=*/false);
      return Step::kDone;
    }
    note_append(key, *value);
    note_read(key, text_of(PQgetvalue(answer_.get(), 0, 0)), /*locked=*/false);
    return Step::kDone;
  }

  Step insert(Key key, const std::string& list) {
    return execute(
        fmt::format("INSERT INTO {} VALUES ({}, '{}')", shared_.options.table, key, list));
  }

  Step upsert(Key key) {
    const auto value = new_value();
    if (!value) return Step::kDone;
    const Step step =
        execute(fmt::format("INSERT INTO {0} AS own VALUES ({1}, '{2}') ON CONFLICT (k) DO UPDATE "
                            "SET list = own.list || ',' || excluded.list RETURNING list",
                            shared_.options.table, key, *value));
    if (step != Step::kDone) return step;
    note_append(key, *value);
    note_read(key, text_of(PQgetvalue(answer_.get(), 0, 0)), /*locked=*/false);
    return Step::kDone;
  }

  /// The row is deleted and made anew.
  Step replace_row(Key key) {
    const auto value = new_value();
    if (!value) return Step::kDone;
    const Step step = execute(
        fmt::format("DELETE FROM {} WHERE k = {} RETURNING list", shared_.options.table, key));
    if (step != Step::kDone) return step;
    Text seen;
    if (PQntuples(answer_.get()) > 0) seen = text_of(PQgetvalue(answer_.get(), 0, 0));
    note_read(key, seen, /*locked=*/false);
    note_append(key, *value);
    return insert(
        key, seen.has_row ? fmt::format("{},{}", seen.text, *value) : fmt::format("{}", *value));
  }

  // ------------------------------------------------------------------ the wire

  Step note_odd_count() {
    // READ COMMITTED may read a row and then not find it.
    if (shared_.options.isolation != "repeatable read") return Step::kRefused;
    const std::lock_guard lock(shared_.mutex);
    shared_.oddities.push_back(
        fmt::format("T{}: one row was read, and then it was {}", index_, tag_));
    return Step::kDone;
  }

  Step execute(const std::string& sql) {
    answer_.reset(PQexec(connection_.get(), sql.c_str()));
    const ExecStatusType status = PQresultStatus(answer_.get());
    tag_ = PQcmdStatus(answer_.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return Step::kDone;
    if (PQstatus(connection_.get()) != CONNECTION_OK) return Step::kLost;
    const char* field = PQresultErrorField(answer_.get(), PG_DIAG_SQLSTATE);
    const std::string_view state = field == nullptr ? "" : field;
    if (state.starts_with("40") || state == "23505") return Step::kRefused;
    shared_.fail(fmt::format("{}: {}", sql, PQresultErrorMessage(answer_.get())));
    return Step::kFailed;
  }

  Shared& shared_;
  std::mt19937_64 dice_;
  Connection connection_;
  Answer answer_;
  std::string tag_;
  std::uint32_t index_ = 0;
  Value values_used_ = 0;
  Transaction doing_;
};

base::Result<void> read_final_lists(const LoadOptions& options, History* history) {
  const Connection connection(PQconnectdb(options.connection.c_str()));
  const Answer answer(
      PQexec(connection.get(), fmt::format("SELECT k, list FROM {}", options.table).c_str()));
  if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK)
    return base::Error{base::Code::kUnavailable, PQerrorMessage(connection.get()), ""};
  for (int row = 0; row < PQntuples(answer.get()); ++row) {
    const std::vector<Value> key = parse(PQgetvalue(answer.get(), row, 0));
    const bool is_new =
        history->lists.emplace(key.at(0), parse(PQgetvalue(answer.get(), row, 1))).second;
    if (!is_new) history->oddities.push_back(fmt::format("list {} has two rows", key.at(0)));
  }
  return {};
}

}  // namespace

base::Result<History> run_load(const LoadOptions& options) {
  Shared shared(options);
  shared.transactions.resize(options.transaction_count);
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < options.client_count; ++i) {
    threads.emplace_back(
        [&shared, &options, i] { Client(&shared, options.seed * 1000 + i).run(); });
  }
  for (std::thread& thread : threads) thread.join();
  if (!shared.failure.empty()) return base::Error{base::Code::kInternal, shared.failure, ""};
  History history;
  history.transactions = std::move(shared.transactions);
  history.oddities = std::move(shared.oddities);
  ZORYA_TRY(read_final_lists(options, &history));
  return history;
}

}  // namespace zorya::history
