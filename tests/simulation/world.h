#pragma once

#include "adjudicator/adjudicator.h"

#include "workloads.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace zorya::simulation {

struct Options {
  std::uint64_t seed = 1;
  int steps = 100'000;
  std::string workload;     // one alone; empty: all at once
  bool with_oracle = true;  // false: only the data's own invariants are looked at
};

/// What happened, over one run or many.
struct Tally {
  std::uint64_t runs = 0;
  std::uint64_t parts = 0;               // decided before the last
  std::uint64_t lost_after_verdict = 0;  // passed, and then ended without a commit
  std::uint64_t restarts = 0;
  std::uint64_t late_snapshots = 0;  // taken after the transaction's own commit id
  std::uint64_t needless = 0;  // refused for a commit known only as a whole, and for nothing else
  adjudicator::DecisionCounters decisions;

  void add(const Tally& other);
};

/// A server without rows, locks or a clock: transactions that begin, take a snapshot and a commit
/// id in either order, run a workload's deeds, are decided (some in parts), and end, in an order
/// that only the seed decides; with sweeps by horizons that were true some time ago, restarts, and
/// a table of recent keys that may be tiny. Ids and snapshots follow PostgreSQL's rules.
class World {
 public:
  explicit World(const Options& options);

  /// Runs it. What went wrong first; empty if nothing.
  std::string run();
  [[nodiscard]] const Tally& tally() const { return tally_; }

 private:
  struct Transaction {
    int number = 0;
    Workload* workload = nullptr;
    bool slow = false;  // stays open long
    bool has_snapshot = false;
    bool passed = false;  // all of it; only its end is to come
    adjudicator::CommitId id = 0;
    adjudicator::CommitId floor = 0;
    adjudicator::CommitId ceiling = 0;
    std::vector<adjudicator::CommitId> not_visible;
    adjudicator::CatalogueVersion catalogue_seen = 0;
    Deeds deeds;
    std::size_t decided_count = 0;  // of its uses, in earlier parts
  };

  void start();
  void step();
  void begin();
  void advance(std::size_t which);
  void take_id(Transaction& t);
  void take_snapshot(Transaction& t);
  /// False: it lost. Of all uses that were not decided yet, or of the first `part_count`.
  bool decide(Transaction& t, std::size_t part_count);
  void compare(const Transaction& t, const std::vector<Use>& uses,
               const adjudicator::Decision& decision);
  [[nodiscard]] bool may_conflict_as_a_whole(const Transaction& t,
                                             const History::Expected& expected) const;
  void end(std::size_t which, bool commits);
  void sweep();
  void restart();
  void change_schema();
  void empty();
  [[nodiscard]] adjudicator::CommitId horizon() const;
  [[nodiscard]] adjudicator::CatalogueVersion last_change_of(const std::vector<Use>& uses) const;
  void fail(const std::string& what);

  Options options_;
  Dice dice_;
  std::vector<std::uint64_t> memory_;
  adjudicator::RecentKeys* table_ = nullptr;
  std::vector<std::unique_ptr<Workload>> workloads_;
  std::vector<Transaction> live_;
  std::size_t live_max_ = 0;
  int sweeps_per_thousand_ = 0;
  int one_slow_in_ = 0;
  std::set<adjudicator::CommitId> running_;
  adjudicator::CommitId next_id_ = 3;
  adjudicator::CommitId highest_ended_ = 2;
  adjudicator::CommitId old_horizon_ = 0;
  Moment now_ = 0;
  int transaction_count_ = 0;
  std::map<int, adjudicator::CommitId> id_of_;
  History history_;
  struct SchemaChange {
    int table;
    adjudicator::CatalogueVersion version;
  };
  std::vector<SchemaChange> schema_changes_;
  adjudicator::CatalogueVersion catalogue_version_ = 1;
  Tally tally_;
  std::string failure_;
};

}  // namespace zorya::simulation
