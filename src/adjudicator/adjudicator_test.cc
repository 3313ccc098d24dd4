#include "adjudicator/adjudicator.h"

#include "adjudicator/key_hash.h"

#include <gtest/gtest.h>

#include <span>
#include <vector>

// Promise by promise. Whether they hold together in any order is for the simulation
// (tests/simulation).
namespace zorya::adjudicator {
namespace {

class AdjudicatorTest : public ::testing::Test {
 protected:
  AdjudicatorTest() : memory_((256u << 10) / 8) {
    table_ = RecentKeys::create(std::as_writable_bytes(std::span(memory_)));
  }
  Decision decision(CommitId id, CommitId sees_below, std::vector<KeyChange> changes,
                    CatalogueUse catalogue = {}) {
    return decide({id, {sees_below, sees_below, {}}, changes, catalogue}, *table_);
  }
  Verdict commit(CommitId id, CommitId sees_below, std::vector<KeyChange> changes) {
    return decision(id, sees_below, std::move(changes)).verdict;
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

TEST_F(AdjudicatorTest, AChangedSchemaGoesBeforeAConflict) {
  EXPECT_EQ(commit(10, 10, {{kRow, LockClass::kUpdate}}), Verdict::kCommitted);
  EXPECT_EQ(decision(11, 10, {{kRow, LockClass::kUpdate}}, {.seen = 4, .changed = 5}).verdict,
            Verdict::kSchemaChanged);
  // Nothing of it is remembered, and a change that was seen is none.
  EXPECT_EQ(decision(12, 11, {{kRow, LockClass::kUpdate}}, {.seen = 5, .changed = 5}).verdict,
            Verdict::kCommitted);
}

TEST_F(AdjudicatorTest, AConflictTellsWhatMetWhat) {
  EXPECT_EQ(commit(10, 10, {{kRow, LockClass::kKeyShare, 7}}), Verdict::kCommitted);
  const Decision lost =
      decision(11, 10, {{kOther, LockClass::kUpdate, 8}, {kRow, LockClass::kUpdate, 7}});
  EXPECT_EQ(lost.verdict, Verdict::kConflict);
  EXPECT_FALSE(lost.as_a_whole);
  EXPECT_EQ(lost.ours.key, kRow);
  EXPECT_EQ(lost.ours.table, 7u);
  EXPECT_EQ(lost.theirs, LockClass::kKeyShare);
}

TEST_F(AdjudicatorTest, EverythingIsCounted) {
  commit(10, 10, {{kRow, LockClass::kKeyShare}, {kOther, LockClass::kNoKeyUpdate}});
  commit(11, 10, {{kRow, LockClass::kUpdate}});
  commit(12, 10, {{kOther, LockClass::kShare}});
  decision(13, 10, {{kRow, LockClass::kUpdate}}, {.seen = 1, .changed = 2});
  table_->sweep_all(14);
  const DecisionCounters& counters = table_->counters();
  EXPECT_EQ(counters.committed, 1u);
  EXPECT_EQ(counters.key_conflicts[static_cast<int>(LockClass::kKeyShare)]
                                  [static_cast<int>(LockClass::kUpdate)],
            1u);
  EXPECT_EQ(counters.key_conflicts[static_cast<int>(LockClass::kNoKeyUpdate)]
                                  [static_cast<int>(LockClass::kShare)],
            1u);
  EXPECT_EQ(counters.schema_changed, 1u);
  EXPECT_EQ(counters.keys_remembered[static_cast<int>(LockClass::kKeyShare)], 1u);
  EXPECT_EQ(counters.keys_remembered[static_cast<int>(LockClass::kNoKeyUpdate)], 1u);
  EXPECT_EQ(counters.keys_swept, 2u);
  EXPECT_EQ(counters.sweeps, 1u);
  EXPECT_EQ(table_->figures().horizon, 14u);
  EXPECT_EQ(table_->figures().sharer_count, 0u);
}

TEST(KeyHash, DependsOnEachPartAndOnTheirOrder) {
  KeyHash one = kEmptyKey;
  add(&one, 1);
  add(&one, 2);
  KeyHash other = kEmptyKey;
  add(&other, 2);
  add(&other, 1);
  KeyHash with_null = kEmptyKey;
  add(&with_null, 1);
  add_null(&with_null);
  EXPECT_NE(one, other);
  EXPECT_NE(one, with_null);
  // Part of the format of what nodes would exchange.
  EXPECT_EQ(one.high, 0x163ba0e514a6d328U);
  EXPECT_EQ(one.low, 0x8c7bb9d0ec14f864U);
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
