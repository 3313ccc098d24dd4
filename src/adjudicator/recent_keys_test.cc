#include "adjudicator/recent_keys.h"

#include "adjudicator/adjudicator.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

namespace zorya::adjudicator {
namespace {

/// Memory full of rubbish with a table over it: the table must not rely on zeroes.
struct Fixture {
  explicit Fixture(std::size_t size_bytes = RecentKeys::kSizeBytesMin)
      : memory(size_bytes / sizeof(std::uint64_t), 0xa5a5a5a5a5a5a5a5U) {
    table = RecentKeys::create(std::as_writable_bytes(std::span(memory)));
  }
  std::vector<std::uint64_t> memory;
  RecentKeys* table;
};

KeyHash key(std::uint64_t n) { return {n * 0x9e3779b97f4a7c15U, n * 0xff51afd7ed558ccdU}; }
KeyChange update(std::uint64_t n) { return {key(n), LockClass::kUpdate}; }
KeyChange key_share(std::uint64_t n) { return {key(n), LockClass::kKeyShare}; }
Snapshot sees_below(CommitId id) { return {id, id, {}}; }

Verdict commit(RecentKeys& table, CommitId id, const Snapshot& snapshot,
               std::vector<KeyChange> changes) {
  return decide({id, snapshot, changes}, table).verdict;
}

TEST(RecentKeys, TakesLittleWhenItHoldsLittle) {
  Fixture f(64u << 20);
  EXPECT_LE(f.table->figures().size_bytes_used, 16u << 10);
}

TEST(RecentKeys, GivesMemoryBackWhenSwept) {
  Fixture f(16u << 20);
  std::vector<KeyChange> changes;
  for (std::uint64_t n = 0; n < 100'000; ++n) changes.push_back(update(n));
  ASSERT_EQ(commit(*f.table, 10, sees_below(10), changes), Verdict::kCommitted);
  EXPECT_EQ(f.table->figures().key_count, 100'000u);
  EXPECT_GE(f.table->figures().size_bytes_used, 4u << 20);
  ASSERT_EQ(commit(*f.table, 20, sees_below(20), {update(7), update(200'000)}),
            Verdict::kCommitted);
  f.table->sweep_all(15);
  EXPECT_EQ(f.table->figures().key_count, 2u);
  EXPECT_LE(f.table->figures().size_bytes_used, 16u << 10);
  EXPECT_GE(f.table->idle_memory().size(), 12u << 20);
  // What was kept was moved and still counts.
  EXPECT_EQ(commit(*f.table, 21, sees_below(20), {update(200'000)}), Verdict::kConflict);
  EXPECT_EQ(commit(*f.table, 21, sees_below(20), {update(8)}), Verdict::kCommitted);
}

TEST(RecentKeys, SweepsInStepsThatReachEverything) {
  Fixture f(1u << 20);
  for (std::uint64_t n = 0; n < 5'000; ++n) {
    ASSERT_EQ(commit(*f.table, n + 1, sees_below(n + 1), {update(n)}), Verdict::kCommitted);
  }
  for (int step = 0; step < 2'000; ++step) f.table->sweep(4'001, 16);
  EXPECT_EQ(f.table->figures().key_count, 1'000u);
}

TEST(RecentKeys, KeepsEverySharerThatIsStillUnseen) {
  Fixture f;
  // Three concurrent children of one parent; the third sees none of the others.
  ASSERT_EQ(commit(*f.table, 11, sees_below(10), {key_share(1)}), Verdict::kCommitted);
  ASSERT_EQ(commit(*f.table, 12, sees_below(10), {key_share(1)}), Verdict::kCommitted);
  ASSERT_EQ(commit(*f.table, 10, sees_below(10), {key_share(1)}), Verdict::kCommitted);
  // A delete that sees all but the one in the middle must lose.
  const CommitId hole[] = {11};
  EXPECT_EQ(commit(*f.table, 14, {10, 14, hole}, {update(1)}), Verdict::kConflict);
  EXPECT_EQ(commit(*f.table, 14, sees_below(14), {update(1)}), Verdict::kCommitted);
}

TEST(RecentKeys, DropsSharersThatALaterOneSaw) {
  Fixture f;
  for (CommitId id = 1; id < 20'000; ++id) {
    ASSERT_EQ(commit(*f.table, id, sees_below(id), {key_share(1)}), Verdict::kCommitted);
  }
  EXPECT_LE(f.table->figures().size_bytes_used, 16u << 10);
}

TEST(RecentKeys, ACommitThatNeverFitsIsKnownAsAWhole) {
  Fixture f;
  std::vector<KeyChange> large;
  for (std::uint64_t n = 0; n < 4'000; ++n) large.push_back(update(n));
  ASSERT_EQ(commit(*f.table, 5, sees_below(5), large), Verdict::kCommitted);
  EXPECT_EQ(f.table->figures().whole_commit_count, 1u);
  // Whoever does not see it conflicts with it, whatever the key; whoever sees it does not.
  EXPECT_EQ(commit(*f.table, 6, sees_below(5), {update(999'999)}), Verdict::kConflict);
  EXPECT_EQ(commit(*f.table, 6, sees_below(6), {update(1)}), Verdict::kCommitted);
  for (CommitId id = 7; id < 10'000; ++id) {
    ASSERT_EQ(commit(*f.table, id, sees_below(id), large), Verdict::kCommitted);
  }
  f.table->sweep(10'000, 1);
  EXPECT_EQ(f.table->figures().whole_commit_count, 0u);
}

TEST(RecentKeys, AFullTablePutsOutTheOldestCommitsAndRefusesNothing) {
  Fixture f(64u << 10);
  // An old snapshot holds everything up; each commit but the first is seen by the next.
  f.table->sweep(10, 1);
  for (CommitId id = 10; id < 50'000; ++id) {
    const Snapshot all_but_a_few = sees_below(std::max<CommitId>(10, id - 50));
    ASSERT_EQ(commit(*f.table, id, all_but_a_few, {update(id)}), Verdict::kCommitted);
    if (id % 16 == 0) f.table->sweep(10, 64);
  }
  EXPECT_TRUE(f.table->is_known_as_a_whole(10));
  EXPECT_FALSE(f.table->is_known_as_a_whole(49'999 - 50));
  EXPECT_EQ(f.table->counters().whole_conflicts, 0u);
  // Of what is remembered nothing is forgotten, of the rest nobody is let pass.
  EXPECT_EQ(commit(*f.table, 50'000, sees_below(49'950), {update(49'960)}), Verdict::kConflict);
  EXPECT_EQ(commit(*f.table, 50'000, sees_below(10), {update(77'777)}), Verdict::kConflict);
  EXPECT_EQ(f.table->counters().whole_conflicts, 1u);
  f.table->sweep_all(50'000);
  EXPECT_EQ(f.table->figures().key_count + f.table->figures().whole_commit_count, 0u);
}

TEST(RecentKeys, NothingIsPutOutBeforeTheTableIsHalfFull) {
  Fixture f(64u << 10);
  for (CommitId id = 1; id < 700; ++id) {
    ASSERT_EQ(commit(*f.table, id, sees_below(1), {update(id)}), Verdict::kCommitted);
    f.table->sweep(1, 1'000);
  }
  EXPECT_EQ(f.table->counters().commits_remembered_whole, 0u);
}

TEST(RecentKeys, WhatEverySnapshotSeesGoesBeforeWhatOneMayNeed) {
  Fixture f(64u << 10);
  for (CommitId id = 1; id < 20'000; ++id) {
    ASSERT_EQ(commit(*f.table, id, sees_below(id), {update(id)}), Verdict::kCommitted);
    if (id % 16 == 0) f.table->sweep(id > 500 ? id - 500 : 1, 64);
  }
  EXPECT_EQ(f.table->counters().commits_remembered_whole, 0u);
}

TEST(RecentKeys, ReadersOfNothingAlwaysPass) {
  Fixture f;
  EXPECT_EQ(commit(*f.table, 5, sees_below(1), {}), Verdict::kCommitted);
  EXPECT_EQ(f.table->figures().key_count, 0u);
}

}  // namespace
}  // namespace zorya::adjudicator
