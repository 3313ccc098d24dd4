#include "router/doom.h"

#include <gtest/gtest.h>

namespace zorya::router {
namespace {

using pgwire::SqlWord;
using pgwire::TransactionStatus;
using Phase = Doom::Phase;

Doom untold(bool block) {
  Doom doom;
  doom.become_untold(block);
  return doom;
}

void expect_answer(const Doom::Answer& answer, bool tell, std::optional<TransactionStatus> ready,
                   bool end_block = false) {
  EXPECT_FALSE(answer.forward);
  EXPECT_EQ(answer.tell, tell);
  EXPECT_EQ(answer.ready, ready);
  EXPECT_EQ(answer.end_block, end_block);
}

TEST(Doom, AStatementIsToldAndLeavesTheBlockFailed) {
  for (const char type : {'Q', 'F'}) {
    Doom doom = untold(true);
    expect_answer(doom.take(type, SqlWord::kOther), true, TransactionStatus::kFailed);
    EXPECT_EQ(doom.phase(), Phase::kNone);
  }
}

TEST(Doom, CommitIsToldAndEndsTheBlock) {
  Doom doom = untold(true);
  expect_answer(doom.take('Q', SqlWord::kCommit), true, TransactionStatus::kIdle, true);
  EXPECT_EQ(doom.phase(), Phase::kNone);
}

TEST(Doom, RollbackNeedsNoError) {
  for (const char type : {'Q', 'P', 'B'}) {
    Doom doom = untold(true);
    EXPECT_TRUE(doom.take(type, SqlWord::kRollback).forward);
    EXPECT_EQ(doom.phase(), Phase::kNone);
  }
}

TEST(Doom, ExtendedMessagesAreToldOnceAndDroppedUpToSync) {
  for (const char type : {'P', 'B', 'D', 'E', 'C'}) {
    Doom doom = untold(true);
    expect_answer(doom.take(type, SqlWord::kOther), true, std::nullopt);
    EXPECT_EQ(doom.phase(), Phase::kSkipping);
    for (const char next : {'B', 'E', 'H', 'Q', 'd'}) {
      expect_answer(doom.take(next, SqlWord::kRollback), false, std::nullopt);
    }
    expect_answer(doom.take('S', SqlWord::kOther), false, TransactionStatus::kFailed);
    EXPECT_EQ(doom.phase(), Phase::kNone);
  }
}

TEST(Doom, AnExtendedCommitEndsTheBlockAtItsSync) {
  Doom doom = untold(true);
  expect_answer(doom.take('P', SqlWord::kCommit), true, std::nullopt, true);
  expect_answer(doom.take('E', SqlWord::kOther), false, std::nullopt);
  expect_answer(doom.take('S', SqlWord::kOther), false, TransactionStatus::kIdle);
}

TEST(Doom, ASyncTellsOnlyWhereItWouldHaveCommitted) {
  Doom block = untold(true);
  expect_answer(block.take('S', SqlWord::kOther), false, TransactionStatus::kFailed);
  EXPECT_EQ(block.phase(), Phase::kUntold);
  Doom implicit = untold(false);
  expect_answer(implicit.take('S', SqlWord::kOther), true, TransactionStatus::kIdle);
  EXPECT_EQ(implicit.phase(), Phase::kNone);
}

TEST(Doom, WithoutABlockTheSessionIsIdleAfterwards) {
  Doom doom = untold(false);
  expect_answer(doom.take('E', SqlWord::kOther), true, std::nullopt);
  expect_answer(doom.take('S', SqlWord::kOther), false, TransactionStatus::kIdle);
  Doom simple = untold(false);
  expect_answer(simple.take('Q', SqlWord::kCommit), true, TransactionStatus::kIdle);
}

TEST(Doom, FlushAndTheRestOfACopyAreAnsweredByNothing) {
  for (const char type : {'H', 'd', 'c', 'f'}) {
    Doom doom = untold(true);
    expect_answer(doom.take(type, SqlWord::kOther), false, std::nullopt);
    EXPECT_EQ(doom.phase(), Phase::kUntold);
  }
}

}  // namespace
}  // namespace zorya::router
