#include "query_processor/commit_stats.h"

#include "query_processor/pg/server.h"
#include "query_processor/shared_memory.h"
#include "query_processor/shared_state.h"

#include <atomic>
#include <bit>
#include <ctime>

extern "C" {
#include "access/htup_details.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
}

namespace zorya::query_processor {
namespace {

using Counter = std::atomic<std::uint64_t>;
constexpr auto kKinds = static_cast<std::size_t>(ConflictKind::kCount);
constexpr auto kParts = static_cast<std::size_t>(CommitPart::kCount);
constexpr std::array<const char*, kKinds> kKindNames = {"key",  "row",  "mark",   "whole",
                                                        "seen", "heap", "schema", "forced"};
constexpr std::array<const char*, kParts> kPartNames = {"verdict", "apply", "flush"};

struct ConflictsOfTable {
  std::atomic<std::uint32_t> relation;  // 0: free
  std::array<Counter, kKinds> counts;
};

/// How many took how long.
using TimeBuckets = std::array<Counter, kTimeBucketCount>;

// Layout 1. Zero at the start; any backend adds.
struct Stats {
  std::array<ConflictsOfTable, kConflictTablesMax> tables;
  ConflictsOfTable unknown;
  std::array<TimeBuckets, kParts> parts;
};

Stats* stats = nullptr;

void attach(void* memory, bool is_new) {
  stats = static_cast<Stats*>(memory);
  if (is_new) new (stats) Stats{};
}

/// The place of a table, taken if it has none. No lock: a place is taken once and never given back.
ConflictsOfTable& place_of(std::uint32_t relation) noexcept {
  if (relation == 0) return stats->unknown;
  for (int step = 0; step < kConflictTablesMax; ++step) {
    ConflictsOfTable& table =
        stats->tables[(relation + static_cast<std::uint32_t>(step)) % kConflictTablesMax];
    std::uint32_t holder = table.relation.load(std::memory_order_relaxed);
    if (holder == 0 && table.relation.compare_exchange_strong(holder, relation)) return table;
    if (holder == relation) return table;
  }
  return stats->unknown;
}

std::uint64_t now_ns() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(time.tv_nsec);
}

// ------------------------------------------------------------------ as rows

Datum int64_datum(const Counter& counter) {
  return Int64GetDatum(static_cast<std::int64_t>(counter.load(std::memory_order_relaxed)));
}

constexpr auto kWounds = static_cast<int>(Wound::kCount);
constexpr int kFigureCount = 18;
constexpr int kColumnCount = kFigureCount + kWounds;

void fill(Datum* values) {
  const CommitCounters& counted = counters();
  const AdjudicatorState state = adjudicator_state();
  const adjudicator::RecentKeysFigures& recent = state.recent_keys;
  const std::uint64_t figures[kFigureCount] = {counted.committed,
                                               counted.conflicts,
                                               counted.apply_failures,
                                               counted.rows_updated_hot,
                                               counted.rows_updated,
                                               counted.rows_deleted,
                                               recent.key_count,
                                               recent.size_bytes_used,
                                               recent.whole_commit_count,
                                               counted.schema_changed,
                                               recent.size_bytes_max,
                                               recent.sharer_count,
                                               state.decisions.commits_remembered_whole,
                                               state.decisions.keys_swept,
                                               state.decisions.sweeps,
                                               counted.schema_reruns,
                                               counted.lane_waits,
                                               counted.waits_at_bound};
  for (int i = 0; i < kFigureCount; ++i)
    values[i] = Int64GetDatum(static_cast<std::int64_t>(figures[i]));
  for (int i = 0; i < kWounds; ++i)
    values[kFigureCount + i] = int64_datum(counted.wounds[static_cast<std::size_t>(i)]);
}

void put_conflicts(const ReturnSetInfo* result, const ConflictsOfTable& table) {
  const std::uint32_t relation = table.relation.load(std::memory_order_relaxed);
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    if (table.counts[kind].load(std::memory_order_relaxed) == 0) continue;
    Datum values[] = {ObjectIdGetDatum(relation), CStringGetTextDatum(kKindNames[kind]),
                      int64_datum(table.counts[kind])};
    bool nulls[] = {relation == 0, false, false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
}

void put_times(const ReturnSetInfo* result, std::size_t part) {
  for (int bucket = 0; bucket < kTimeBucketCount; ++bucket) {
    const Counter& count = stats->parts[part][static_cast<std::size_t>(bucket)];
    if (count.load(std::memory_order_relaxed) == 0) continue;
    const bool is_last = bucket == kTimeBucketCount - 1;
    Datum values[] = {CStringGetTextDatum(kPartNames[part]), Int64GetDatum(INT64CONST(1) << bucket),
                      int64_datum(count)};
    bool nulls[] = {false, is_last, false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
}

}  // namespace

void count_conflict(std::uint32_t relation, ConflictKind kind) noexcept {
  if (stats == nullptr) return;
  place_of(relation).counts[static_cast<std::size_t>(kind)].fetch_add(1, std::memory_order_relaxed);
}

void CommitClock::begin() noexcept { last_ns_ = now_ns(); }

void CommitClock::ended(CommitPart part) noexcept {
  const std::uint64_t now = now_ns();
  const std::uint64_t took_us = (now - last_ns_) / 1000;
  last_ns_ = now;
  TimeBuckets& times = stats->parts[static_cast<std::size_t>(part)];
  const int bucket = std::min(static_cast<int>(std::bit_width(took_us)), kTimeBucketCount - 1);
  times[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
}

void install_commit_stats() {
  share_memory({.name = "zorya commit stats", .size_bytes = sizeof(Stats), .attach = attach});
}

}  // namespace zorya::query_processor

/// One row: the counters of the server and the figures of the table of recent keys.
ZORYA_SQL_FUNCTION(zorya_commit_stats) {
  TupleDesc descriptor = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE ||
      descriptor->natts != zorya::query_processor::kColumnCount) {
    elog(ERROR, "commit_stats has another result than its code");
  }
  Datum values[zorya::query_processor::kColumnCount];
  bool nulls[zorya::query_processor::kColumnCount] = {};
  zorya::query_processor::fill(values);
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

/// A row for each table and kind of conflict that was counted.
ZORYA_SQL_FUNCTION(zorya_conflict_stats) {
  namespace qp = zorya::query_processor;
  InitMaterializedSRF(fcinfo, 0);
  const auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  for (const qp::ConflictsOfTable& table : qp::stats->tables) qp::put_conflicts(result, table);
  qp::put_conflicts(result, qp::stats->unknown);
  return Datum{0};
}

/// A row for each part of a COMMIT and bucket of time that was counted.
ZORYA_SQL_FUNCTION(zorya_commit_times) {
  namespace qp = zorya::query_processor;
  InitMaterializedSRF(fcinfo, 0);
  const auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  for (std::size_t part = 0; part < qp::kParts; ++part) qp::put_times(result, part);
  return Datum{0};
}
