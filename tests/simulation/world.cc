#include "world.h"

#include <algorithm>
#include <span>

namespace zorya::simulation {
namespace {

using adjudicator::CommitId;
using adjudicator::Decision;
using adjudicator::KeyChange;
using adjudicator::RecentKeys;
using adjudicator::Snapshot;
using adjudicator::Verdict;

void add_counters(adjudicator::DecisionCounters* sum, const adjudicator::DecisionCounters& one) {
  // Plain numbers, one after the other.
  auto* to = reinterpret_cast<std::uint64_t*>(sum);
  const auto* from = reinterpret_cast<const std::uint64_t*>(&one);
  static_assert(sizeof(one) % sizeof(std::uint64_t) == 0);
  for (std::size_t n = 0; n < sizeof(one) / sizeof(std::uint64_t); ++n) to[n] += from[n];
}

}  // namespace

void Tally::add(const Tally& other) {
  runs += other.runs;
  parts += other.parts;
  lost_after_verdict += other.lost_after_verdict;
  restarts += other.restarts;
  late_snapshots += other.late_snapshots;
  needless += other.needless;
  add_counters(&decisions, other.decisions);
}

World::World(const Options& options)
    : options_(options), dice_(options.seed), workloads_(make_workloads(options.workload)) {
  start();
}

/// Every start has its own memory, from some hundred keys to more than are ever needed, its own
/// crowd and its own diligence in sweeping.
void World::start() {
  constexpr std::size_t kSizes[] = {RecentKeys::kSizeBytesMin, 20u << 10, 32u << 10, 256u << 10};
  constexpr int kSweepsPerThousand[] = {2, 10, 50};
  constexpr int kOneSlowIn[] = {4, 12, 40};
  memory_.assign(dice_.of(kSizes) / sizeof(std::uint64_t), dice_.next());
  table_ = RecentKeys::create(std::as_writable_bytes(std::span(memory_)));
  live_max_ = std::size_t{4} + static_cast<std::size_t>(dice_.below(28));
  sweeps_per_thousand_ = dice_.of(kSweepsPerThousand);
  one_slow_in_ = dice_.of(kOneSlowIn);
}

std::string World::run() {
  tally_.runs = 1;
  for (int n = 0; n < options_.steps && failure_.empty(); ++n) step();
  if (failure_.empty()) empty();
  return failure_;
}

void World::step() {
  ++now_;
  const int what = dice_.below(1000);
  if (what < sweeps_per_thousand_) {
    sweep();
  } else if (what < sweeps_per_thousand_ + 3) {
    change_schema();
  } else if (dice_.one_in(1500)) {
    restart();
  } else if (live_.empty() || (live_.size() < live_max_ && dice_.one_in(3))) {
    begin();
  } else {
    advance(static_cast<std::size_t>(dice_.below(static_cast<int>(live_.size()))));
  }
}

void World::begin() {
  Transaction t;
  t.number = ++transaction_count_;
  // Half of all are the first, that of any keys.
  t.workload = (dice_.one_in(2) ? workloads_.front() : dice_.of(workloads_)).get();
  // A few stay open long; more would leave no room for others.
  const auto slow = std::count_if(live_.begin(), live_.end(), [](const auto& o) { return o.slow; });
  t.slow = slow < 2 && dice_.one_in(one_slow_in_);
  live_.push_back(std::move(t));
}

void World::advance(std::size_t which) {
  Transaction& t = live_[which];
  if (t.slow && !dice_.one_in(30)) return;
  if (dice_.one_in(60)) return end(which, /*commits=*/false);
  if (t.passed) return end(which, /*commits=*/!dice_.one_in(20));
  if (!t.has_snapshot) {
    // An id may come before the snapshot (something took one), or much later.
    if (t.id == 0 && dice_.one_in(8)) return take_id(t);
    return take_snapshot(t);
  }
  if (t.id == 0) {
    take_id(t);
    if (dice_.one_in(2)) return;
  }
  const std::size_t left = t.deeds.uses.size() - t.decided_count;
  if (left > 1 && dice_.one_in(8)) {
    ++tally_.parts;
    if (!decide(t, 1 + static_cast<std::size_t>(dice_.below(static_cast<int>(left) - 1)))) {
      end(which, /*commits=*/false);
    }
    return;
  }
  t.passed = decide(t, left);
  if (!t.passed) end(which, /*commits=*/false);
}

void World::take_id(Transaction& t) {
  t.id = next_id_++;
  id_of_[t.number] = t.id;
  running_.insert(t.id);
}

void World::take_snapshot(Transaction& t) {
  // As GetSnapshotData: the ceiling is one above the highest id that ended, the floor the oldest
  // that runs.
  t.has_snapshot = true;
  t.ceiling = highest_ended_ + 1;
  t.floor = running_.empty() ? t.ceiling : std::min(t.ceiling, *running_.begin());
  for (const CommitId id : running_) {
    if (id < t.ceiling && id != t.id) t.not_visible.push_back(id);
  }
  t.catalogue_seen = catalogue_version_;
  if (t.id != 0) ++tally_.late_snapshots;
  t.deeds.snapshot = now_;
  // Nothing that others do changes what a snapshot shows, so all of it can run now.
  t.workload->run(&t.deeds, dice_);
}

adjudicator::CatalogueVersion World::last_change_of(const std::vector<Use>& uses) const {
  adjudicator::CatalogueVersion last = 0;
  for (const SchemaChange& change : schema_changes_) {
    for (const Use& use : uses) {
      if (use.key.table == change.table) last = std::max(last, change.version);
    }
  }
  return last;
}

bool World::decide(Transaction& t, std::size_t part_count) {
  const auto first = t.deeds.uses.begin() + static_cast<std::ptrdiff_t>(t.decided_count);
  const std::vector<Use> uses(first, first + static_cast<std::ptrdiff_t>(part_count));
  std::vector<KeyChange> changes;
  changes.reserve(uses.size());
  for (const Use& use : uses) {
    changes.push_back(
        {hash_of(use.key), use.lock_class, static_cast<adjudicator::TableNumber>(use.key.table)});
  }
  const Decision decision = adjudicator::decide({t.id,
                                                 {t.floor, t.ceiling, t.not_visible},
                                                 changes,
                                                 {t.catalogue_seen, last_change_of(uses)}},
                                                *table_);
  if (options_.with_oracle) compare(t, uses, decision);
  if (decision.verdict != Verdict::kCommitted) return false;
  if (part_count > 0) history_.passed(t.number, uses);
  t.decided_count += part_count;
  return true;
}

/// True if it does not see a transaction of which the table says that it has no keys any more, or
/// does not see one that began so long ago that the table does not know whether it had any.
bool World::may_conflict_as_a_whole(const Transaction& t, const History::Expected& expected) const {
  const CommitId below = table_->figures().whole_below;
  return t.ceiling < below ||
         std::any_of(t.not_visible.begin(), t.not_visible.end(),
                     [&](CommitId id) { return id < below; }) ||
         std::any_of(expected.unseen.begin(), expected.unseen.end(),
                     [&](int other) { return table_->is_known_as_a_whole(id_of_.at(other)); });
}

void World::compare(const Transaction& t, const std::vector<Use>& uses, const Decision& decision) {
  const History::Expected expected = history_.expected(t.number, t.deeds.snapshot, uses);
  const auto say = [&](const std::string& what) {
    fail("transaction " + std::to_string(t.number) + " (" + t.workload->name() + "): " + what);
  };
  switch (decision.verdict) {
    case Verdict::kCommitted:
      if (uses.empty()) return;
      if (expected.schema_changed) return say("passed over a schema change");
      if (expected.conflict) return say("passed, but " + expected.why);
      return;
    case Verdict::kSchemaChanged:
      if (!expected.schema_changed) say("was refused for a schema that had not changed");
      return;
    case Verdict::kConflict:
      if (expected.schema_changed) return say("was told of a conflict, not of the schema");
      if (decision.as_a_whole && !expected.conflict) ++tally_.needless;
      if (decision.as_a_whole ? !may_conflict_as_a_whole(t, expected) : !expected.conflict) {
        say("was refused, and no other transaction is the reason");
      }
      return;
  }
}

void World::end(std::size_t which, bool commits) {
  Transaction t = std::move(live_[which]);
  live_.erase(live_.begin() + static_cast<std::ptrdiff_t>(which));
  if (t.id != 0) {
    running_.erase(t.id);
    highest_ended_ = std::max(highest_ended_, t.id);
  }
  history_.ended(t.number, now_);
  if (!commits) {
    if (t.decided_count > 0) ++tally_.lost_after_verdict;
    return;
  }
  for (const auto& deed : t.deeds.on_commit) deed(now_);
  for (const auto& workload : workloads_) {
    const std::string wrong = workload->wrong();
    if (!wrong.empty()) fail(std::string(workload->name()) + ": " + wrong);
  }
}

CommitId World::horizon() const {
  CommitId horizon = highest_ended_ + 1;
  if (!running_.empty()) horizon = std::min(horizon, *running_.begin());
  for (const Transaction& t : live_) {
    if (t.has_snapshot) horizon = std::min(horizon, t.floor);
  }
  return horizon;
}

void World::sweep() {
  // A horizon that was true once is true for ever; a server takes it before it has the lock.
  const CommitId now = horizon();
  const CommitId used = dice_.one_in(2) ? now : old_horizon_;
  if (dice_.one_in(3)) old_horizon_ = now;
  if (dice_.one_in(4)) {
    table_->sweep_all(used);
  } else {
    table_->sweep(used, std::size_t{1} + static_cast<std::size_t>(dice_.below(64)));
  }
}

void World::restart() {
  ++tally_.restarts;
  empty();
  start();
}

void World::change_schema() {
  // A table that some transaction uses.
  for (const Transaction& t : live_) {
    if (t.deeds.uses.empty() || !dice_.one_in(3)) continue;
    schema_changes_.push_back({t.deeds.uses.front().key.table, ++catalogue_version_});
    history_.schema_changed(t.deeds.uses.front().key.table, now_);
    return;
  }
}

/// Ends all. Half the time as a crash does; or in good order, and then nothing may be remembered.
void World::empty() {
  while (!live_.empty()) {
    ++now_;
    end(live_.size() - 1, /*commits=*/false);
  }
  add_counters(&tally_.decisions, table_->counters());
  if (dice_.one_in(2)) return;
  table_->sweep_all(horizon());
  const auto left = table_->figures();
  if (left.key_count + left.sharer_count + left.whole_commit_count != 0) {
    fail("something is remembered although every snapshot sees everything");
  }
}

void World::fail(const std::string& what) {
  if (failure_.empty()) failure_ = "step " + std::to_string(now_) + ": " + what;
}

}  // namespace zorya::simulation
