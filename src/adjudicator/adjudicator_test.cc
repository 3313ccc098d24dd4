#include "adjudicator/adjudicator.h"

#include "adjudicator/conflict_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace zorya::adjudicator {
namespace {

// ------------------------------------------------------------------ a plain model, and a world
// that drives both

/// A fault put between the world and the adjudicator, to see that the comparison finds it.
enum class Planted { kNothing, kSkipAWriteKey, kSkipAMark, kSweepTooEarly, kForgetASharer };

struct Transaction {
  CommitId id = 0;
  CommitId floor = 0;
  CommitId ceiling = 0;
  std::vector<CommitId> not_visible;
  std::vector<KeyChange> changes;
  bool decided = false;  // said yes, and not ended yet
};

/// Everything that ever committed, and the definition of a conflict, read off word by word.
class Model {
 public:
  [[nodiscard]] bool conflicts_with(const Transaction& t) const {
    for (const auto& [id, changes] : committed_) {
      const bool seen = id < t.floor || (id < t.ceiling && !std::count(t.not_visible.begin(),
                                                                       t.not_visible.end(), id));
      if (seen || id == t.id) continue;
      for (const KeyChange& theirs : changes) {
        for (const KeyChange& ours : t.changes) {
          if (theirs.key == ours.key && conflicts(theirs.lock_class, ours.lock_class)) return true;
        }
      }
    }
    return false;
  }
  void remember(const Transaction& t) { committed_[t.id] = t.changes; }
  void forget_below(CommitId horizon) {
    committed_.erase(committed_.begin(), committed_.lower_bound(horizon));
  }

 private:
  std::map<CommitId, std::vector<KeyChange>> committed_;
};

/// Transactions that begin, are decided, end, in a random order, with PostgreSQL's rules for ids
/// and snapshots.
class World {
 public:
  World(std::uint64_t seed, std::size_t size_bytes, Planted planted)
      : random_(seed), planted_(planted), memory_(size_bytes / 8) {
    table_ = RecentKeys::create(std::as_writable_bytes(std::span(memory_)));
  }

  /// Runs `steps`; returns the step at which table and model differ, or -1.
  int run(int steps) {
    for (int step = 0; step < steps; ++step) {
      const auto what = pick(10);
      if (what < 4 || live_.empty()) {
        begin();
      } else if (what < 8) {
        if (!decide_one()) return step;
      } else if (what < 9) {
        end_one();
      } else {
        sweep();
      }
    }
    return -1;
  }
  [[nodiscard]] int conflict_count() const { return conflict_count_; }
  [[nodiscard]] int commit_count() const { return commit_count_; }

 private:
  std::uint64_t pick(std::uint64_t count) { return random_() % count; }

  void begin() {
    if (live_.size() > 12) return;
    Transaction t;
    // As GetSnapshotData: the ceiling is one above the highest id that ended, the floor the oldest
    // that runs.
    t.ceiling = highest_ended_ + 1;
    t.floor = t.ceiling;
    for (CommitId id : running_) {
      if (id >= t.ceiling) continue;
      t.floor = std::min(t.floor, id);
      t.not_visible.push_back(id);
    }
    t.id = next_id_++;
    running_.insert(t.id);
    const auto count = 1 + pick(4);
    for (std::uint64_t n = 0; n < count; ++n) {
      t.changes.push_back({KeyHash{pick(2), pick(14)}, static_cast<LockClass>(pick(4))});
    }
    live_.push_back(std::move(t));
  }

  bool decide_one() {
    Transaction& t = live_[pick(live_.size())];
    if (t.decided) return true;
    const bool model_conflict = model_.conflicts_with(t);
    std::vector<KeyChange> shown = t.changes;
    if (planted_ == Planted::kSkipAWriteKey && commit_count_ % 7 == 0) {
      std::erase_if(shown,
                    [](const KeyChange& c) { return c.lock_class >= LockClass::kNoKeyUpdate; });
    }
    if (planted_ == Planted::kSkipAMark && commit_count_ % 7 == 0) {
      std::erase_if(shown, [](const KeyChange& c) { return c.lock_class <= LockClass::kShare; });
    }
    Snapshot snapshot{t.floor, t.ceiling, t.not_visible};
    // A sharer that takes all others as seen forgets those that are still unseen by others.
    if (planted_ == Planted::kForgetASharer && !model_conflict) {
      snapshot = {next_id_, next_id_, {}};
    }
    const Verdict verdict = decide({t.id, snapshot, shown}, *table_).verdict;
    const bool conflict = verdict != Verdict::kCommitted;
    // Commits known as a whole make more conflicts than the model; never fewer.
    if (conflict != model_conflict &&
        (model_conflict || table_->figures().whole_commit_count == 0)) {
      return false;
    }
    if (conflict) {
      ++conflict_count_;
      finish(t);
    } else {
      ++commit_count_;
      model_.remember(t);
      t.decided = true;
    }
    return true;
  }

  void end_one() {
    const auto index = pick(live_.size());
    finish(live_[index]);
  }

  void finish(Transaction& t) {
    const CommitId id = t.id;
    running_.erase(id);
    highest_ended_ = std::max(highest_ended_, id);
    std::erase_if(live_, [id](const Transaction& other) { return other.id == id; });
  }

  void sweep() {
    CommitId horizon = highest_ended_ + 1;
    for (CommitId id : running_) horizon = std::min(horizon, id);
    for (const Transaction& t : live_) horizon = std::min(horizon, t.floor);
    model_.forget_below(horizon);
    if (planted_ == Planted::kSweepTooEarly) horizon += 3;
    if (pick(4) == 0) {
      table_->sweep_all(horizon);
    } else {
      table_->sweep(horizon, 1 + pick(64));
    }
  }

  std::mt19937_64 random_;
  Planted planted_;
  std::vector<std::uint64_t> memory_;
  RecentKeys* table_;
  Model model_;
  std::vector<Transaction> live_;
  std::set<CommitId> running_;
  CommitId next_id_ = 3;
  CommitId highest_ended_ = 2;
  int conflict_count_ = 0;
  int commit_count_ = 0;
};

TEST(Adjudicator, AgreesWithAPlainModelFromRandomSeeds) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    World world(seed, 256u << 10, Planted::kNothing);
    EXPECT_EQ(world.run(3'000), -1) << "seed " << seed;
    EXPECT_GT(world.conflict_count(), 50) << "seed " << seed;
    EXPECT_GT(world.commit_count(), 50) << "seed " << seed;
  }
}

TEST(Adjudicator, PlantedFaultsAreFound) {
  for (Planted planted : {Planted::kSkipAWriteKey, Planted::kSkipAMark, Planted::kSweepTooEarly,
                          Planted::kForgetASharer}) {
    bool found = false;
    for (std::uint64_t seed = 1; seed <= 20 && !found; ++seed) {
      found = World(seed, 256u << 10, planted).run(3'000) >= 0;
    }
    EXPECT_TRUE(found) << "planted fault " << static_cast<int>(planted);
  }
}

// ------------------------------------------------------------------ the promises, one by one

class AdjudicatorTest : public ::testing::Test {
 protected:
  AdjudicatorTest() : memory_((256u << 10) / 8) {
    table_ = RecentKeys::create(std::as_writable_bytes(std::span(memory_)));
  }
  Verdict commit(CommitId id, CommitId sees_below, std::vector<KeyChange> changes) {
    return decide({id, {sees_below, sees_below, {}}, changes}, *table_).verdict;
  }
  std::vector<std::uint64_t> memory_;
  RecentKeys* table_;
};

constexpr KeyHash kRow{1, 2};
constexpr KeyHash kOther{1, 3};

TEST_F(AdjudicatorTest, SecondWriterOfAKeyConflicts) {
  EXPECT_EQ(commit(11, 10, {{kRow, LockClass::kNoKeyUpdate}}), Verdict::kCommitted);
  EXPECT_EQ(commit(10, 10, {{kRow, LockClass::kNoKeyUpdate}}), Verdict::kConflict);
}

TEST_F(AdjudicatorTest, AWriterThatSawTheOtherPasses) {
  EXPECT_EQ(commit(10, 10, {{kRow, LockClass::kUpdate}}), Verdict::kCommitted);
  EXPECT_EQ(commit(11, 11, {{kRow, LockClass::kUpdate}}), Verdict::kCommitted);
}

TEST_F(AdjudicatorTest, WritersOfDifferentKeysPass) {
  EXPECT_EQ(commit(10, 10, {{kRow, LockClass::kUpdate}}), Verdict::kCommitted);
  EXPECT_EQ(commit(11, 10, {{kOther, LockClass::kUpdate}}), Verdict::kCommitted);
}

TEST_F(AdjudicatorTest, ALoserLeavesNothingBehind) {
  EXPECT_EQ(commit(10, 10, {{kRow, LockClass::kUpdate}}), Verdict::kCommitted);
  EXPECT_EQ(commit(11, 10, {{kOther, LockClass::kUpdate}, {kRow, LockClass::kUpdate}}),
            Verdict::kConflict);
  EXPECT_EQ(commit(12, 10, {{kOther, LockClass::kUpdate}}), Verdict::kCommitted);
}

TEST_F(AdjudicatorTest, ARecordInPartsDoesNotConflictWithItself) {
  EXPECT_EQ(commit(10, 10, {{kRow, LockClass::kUpdate}}), Verdict::kCommitted);
  EXPECT_EQ(commit(10, 10, {{kRow, LockClass::kUpdate}, {kRow, LockClass::kKeyShare}}),
            Verdict::kCommitted);
}

TEST_F(AdjudicatorTest, AKeyUpdateIsRememberedBehindALaterNonKeyUpdate) {
  EXPECT_EQ(commit(10, 10, {{kRow, LockClass::kUpdate}}), Verdict::kCommitted);
  EXPECT_EQ(commit(11, 11, {{kRow, LockClass::kNoKeyUpdate}}), Verdict::kCommitted);
  // Commutes with the second, not with the first, and saw neither.
  EXPECT_EQ(commit(12, 10, {{kRow, LockClass::kKeyShare}}), Verdict::kConflict);
}

TEST_F(AdjudicatorTest, MarksCanLose) {
  EXPECT_EQ(commit(10, 10, {{kRow, LockClass::kNoKeyUpdate}}), Verdict::kCommitted);
  EXPECT_EQ(commit(11, 10, {{kRow, LockClass::kShare}}), Verdict::kConflict);
  EXPECT_EQ(commit(12, 10, {{kRow, LockClass::kKeyShare}}), Verdict::kCommitted);
}

TEST(Snapshot, SeesWhatEndedBeforeIt) {
  const CommitId running[] = {7, 9};
  const Snapshot snapshot{7, 11, running};
  EXPECT_TRUE(snapshot.sees(6));
  EXPECT_FALSE(snapshot.sees(7));
  EXPECT_TRUE(snapshot.sees(8));
  EXPECT_FALSE(snapshot.sees(9));
  EXPECT_TRUE(snapshot.sees(10));
  EXPECT_FALSE(snapshot.sees(11));
}

}  // namespace
}  // namespace zorya::adjudicator
