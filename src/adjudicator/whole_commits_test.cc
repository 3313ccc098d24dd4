#include "adjudicator/whole_commits.h"

#include <gtest/gtest.h>

#include <vector>

namespace zorya::adjudicator {
namespace {

constexpr CommitId kNobody = 0;

class WholeCommitsTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kIds = 256;
  WholeCommitsTest() : memory_(WholeCommits::size_bytes(kIds) / 8, 0xa5a5a5a5a5a5a5a5U) {
    commits_ = WholeCommits::create(reinterpret_cast<std::byte*>(memory_.data()), kIds);
  }
  [[nodiscard]] bool conflicts(const Snapshot& snapshot, CommitId own = kNobody) const {
    return commits_->conflict_with(snapshot, own);
  }
  std::vector<std::uint64_t> memory_;
  WholeCommits* commits_;
};

TEST_F(WholeCommitsTest, AnEmptyOneConflictsWithNobody) {
  EXPECT_FALSE(conflicts({0, 0, {}}));
  EXPECT_FALSE(commits_->contains(1));
}

TEST_F(WholeCommitsTest, ConflictWithWhoeverDoesNotSeeOne) {
  commits_->forget_below(100);
  EXPECT_TRUE(commits_->add(130));
  EXPECT_FALSE(commits_->add(130));
  EXPECT_EQ(commits_->count(), 1u);
  const CommitId unseen[] = {120, 130};
  const CommitId others[] = {120, 131};
  EXPECT_TRUE(conflicts({100, 130, {}}));
  EXPECT_TRUE(conflicts({120, 140, unseen}));
  EXPECT_FALSE(conflicts({120, 140, others}));
  EXPECT_FALSE(conflicts({131, 131, {}}));
}

TEST_F(WholeCommitsTest, NobodyConflictsWithItself) {
  commits_->forget_below(100);
  commits_->add(130);
  EXPECT_FALSE(conflicts({100, 110, {}}, 130));
  const CommitId own[] = {130};
  EXPECT_FALSE(conflicts({130, 140, own}, 130));
  commits_->add(131);
  EXPECT_TRUE(conflicts({100, 110, {}}, 130));
}

TEST_F(WholeCommitsTest, OneThatRunsOnIsNotTakenForOneOfThem) {
  commits_->forget_below(100);
  for (CommitId id = 101; id < 200; ++id) commits_->add(id);
  const CommitId running[] = {100};
  EXPECT_FALSE(conflicts({100, 200, running}));
}

TEST_F(WholeCommitsTest, FindOneInEachWordBehindTheCeiling) {
  commits_->forget_below(64);
  for (const CommitId id : {64, 127, 128, 191, 319}) {
    commits_->add(static_cast<CommitId>(id));
    EXPECT_TRUE(conflicts({64, 64, {}}));
    EXPECT_TRUE(conflicts({64, static_cast<CommitId>(id), {}}));
    EXPECT_FALSE(conflicts({64, static_cast<CommitId>(id) + 1, {}}));
  }
  EXPECT_EQ(commits_->count(), 5u);
}

TEST_F(WholeCommitsTest, AreForgottenBelowTheHorizonToTheVeryId) {
  commits_->forget_below(100);
  for (CommitId id = 100; id < 200; ++id) commits_->add(id);
  commits_->forget_below(150);
  EXPECT_EQ(commits_->count(), 50u);
  EXPECT_TRUE(commits_->contains(150));
  EXPECT_FALSE(conflicts({200, 200, {}}));
  commits_->forget_below(1'000'000);
  EXPECT_EQ(commits_->count(), 0u);
  EXPECT_FALSE(conflicts({1'000'000, 1'000'000, {}}));
  commits_->add(1'000'007);
  EXPECT_TRUE(conflicts({1'000'000, 1'000'007, {}}));
  EXPECT_FALSE(commits_->contains(1'000'006));
}

TEST_F(WholeCommitsTest, WhatIsBehindTheWindowCountsAllTogether) {
  commits_->forget_below(100);
  commits_->add(101);
  commits_->add(1'000);
  EXPECT_EQ(commits_->count(), 1u);
  EXPECT_TRUE(commits_->contains(101));
  EXPECT_TRUE(commits_->contains(102));
  EXPECT_FALSE(commits_->contains(999));
  const CommitId running[] = {102};
  EXPECT_TRUE(conflicts({102, 1'001, running}));
  EXPECT_FALSE(conflicts({102, 1'001, running}, 102));
  EXPECT_FALSE(conflicts({1'001, 1'001, {}}));
  // Late news of one of those change nothing.
  EXPECT_FALSE(commits_->add(103));
}

TEST_F(WholeCommitsTest, AWindowThatComesRoundIsClean) {
  for (CommitId id = 1; id < 10'000; id += 3) commits_->add(id);
  commits_->forget_below(10'000);
  EXPECT_EQ(commits_->count(), 0u);
  commits_->add(10'255);
  EXPECT_FALSE(commits_->contains(10'254));
  EXPECT_EQ(commits_->count(), 1u);
}

}  // namespace
}  // namespace zorya::adjudicator
