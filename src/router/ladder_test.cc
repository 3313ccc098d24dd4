#include "router/ladder.h"

#include <gtest/gtest.h>

namespace zorya::router {
namespace {

using namespace std::chrono_literals;
using Stance = Relay::Stance;

Holder session(Stance stance) {
  return {.is_session = true, .stance = stance, .may_tell = true, .waits_for_client = true};
}

TEST(Ladder, WhoIdlesInATransactionIsMadeToFail) {
  EXPECT_EQ(choose_verb(session(Stance::kInTransaction)), Verb::kFail);
  EXPECT_EQ(choose_verb(session(Stance::kOpen)), Verb::kFail);
}

TEST(Ladder, WhoRunsIsCancelledAndAgainIfTheCancelMissed) {
  Holder holder = session(Stance::kBusy);
  EXPECT_EQ(choose_verb(holder), Verb::kCancel);
  holder.last = Verb::kCancel;
  holder.since_first = holder.since_last = 2ms;
  EXPECT_EQ(choose_verb(holder), Verb::kNone);
  holder.since_first = holder.since_last = 9ms;
  EXPECT_EQ(choose_verb(holder), Verb::kCancel);
  Holder open = session(Stance::kOpen);
  open.waits_for_client = false;
  EXPECT_EQ(choose_verb(open), Verb::kCancel);
}

TEST(Ladder, CopyThatWaitsForItsClientIsFailed) {
  EXPECT_EQ(choose_verb(session(Stance::kCopyIn)), Verb::kFailCopy);
}

TEST(Ladder, HalfAMessageLetsNoneFollow) {
  for (const Stance stance : {Stance::kInTransaction, Stance::kOpen, Stance::kCopyIn}) {
    Holder holder = session(stance);
    holder.may_tell = false;
    EXPECT_EQ(choose_verb(holder), Verb::kCancel);
    holder.last = Verb::kCancel;
    holder.since_first = kPatience;
    EXPECT_EQ(choose_verb(holder), Verb::kTerminate);
  }
}

TEST(Ladder, WhatDoesNotEndInTimeIsTerminatedOnce) {
  for (const Stance stance :
       {Stance::kIdle, Stance::kInTransaction, Stance::kOpen, Stance::kCopyIn, Stance::kBusy}) {
    Holder holder = session(stance);
    holder.may_tell = false;
    holder.last = Verb::kCancel;
    holder.since_first = kPatience;
    EXPECT_EQ(choose_verb(holder), Verb::kTerminate);
    holder.last = Verb::kTerminate;
    EXPECT_EQ(choose_verb(holder), Verb::kNone);
  }
}

TEST(Ladder, WhatHasNoProcessorYetIsNotTerminated) {
  Holder running = session(Stance::kBusy);
  running.waits_for_client = false;
  running.last = Verb::kCancel;
  running.since_first = 100ms;
  running.since_last = 1ms;
  EXPECT_EQ(choose_verb(running), Verb::kNone);
  Holder failing = session(Stance::kIdle);
  failing.last = Verb::kFail;
  failing.since_first = 100ms;
  EXPECT_EQ(choose_verb(failing), Verb::kNone);
}

TEST(Ladder, WhoseClientDoesNotReadIsTerminated) {
  Holder holder = session(Stance::kBusy);
  holder.waits_for_client = false;
  holder.waits_to_write = true;
  EXPECT_EQ(choose_verb(holder), Verb::kCancel);
  for (const Verb last : {Verb::kCancel, Verb::kFail}) {
    holder.last = last;
    holder.since_first = kPatience;
    EXPECT_EQ(choose_verb(holder), Verb::kTerminate);
  }
}

TEST(Ladder, WhoseCancelWasInVainIsMadeToFailIfThatCanBe) {
  Holder holder = session(Stance::kInTransaction);
  holder.last = Verb::kCancel;
  holder.since_first = kPatience;
  EXPECT_EQ(choose_verb(holder), Verb::kFail);
}

TEST(Ladder, WhoIsDoneMeanwhileIsLeftAlone) {
  EXPECT_EQ(choose_verb(session(Stance::kIdle)), Verb::kNone);
}

TEST(Ladder, AutovacuumIsCancelledAndNeverTerminated) {
  Holder holder{.is_autovacuum = true};
  EXPECT_EQ(choose_verb(holder), Verb::kCancel);
  holder.last = Verb::kCancel;
  holder.since_first = 100ms;
  holder.since_last = 1ms;
  EXPECT_EQ(choose_verb(holder), Verb::kNone);
  holder.since_last = 10ms;
  EXPECT_EQ(choose_verb(holder), Verb::kCancel);
}

TEST(Ladder, AStrangerIsCancelledOrTerminated) {
  Holder holder{.stance = Stance::kIdle};
  EXPECT_EQ(choose_verb(holder), Verb::kCancel);
  holder.last = Verb::kCancel;
  holder.since_first = holder.since_last = 21ms;
  EXPECT_EQ(choose_verb(holder), Verb::kCancel);
  Holder idle{.stance = Stance::kIdle, .waits_for_client = true};
  EXPECT_EQ(choose_verb(idle), Verb::kTerminate);
}

}  // namespace
}  // namespace zorya::router
