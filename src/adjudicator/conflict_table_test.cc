#include "adjudicator/conflict_table.h"

#include <gtest/gtest.h>

namespace zorya::adjudicator {
namespace {

constexpr LockClass kAll[] = {LockClass::kKeyShare, LockClass::kShare, LockClass::kNoKeyUpdate,
                              LockClass::kUpdate};

TEST(ConflictTable, IsThePublishedTable) {
  EXPECT_TRUE(conflicts(LockClass::kUpdate, LockClass::kUpdate));
  EXPECT_TRUE(conflicts(LockClass::kUpdate, LockClass::kNoKeyUpdate));
  EXPECT_TRUE(conflicts(LockClass::kUpdate, LockClass::kKeyShare));
  EXPECT_TRUE(conflicts(LockClass::kNoKeyUpdate, LockClass::kNoKeyUpdate));
  EXPECT_FALSE(conflicts(LockClass::kNoKeyUpdate, LockClass::kKeyShare));
  EXPECT_FALSE(conflicts(LockClass::kKeyShare, LockClass::kKeyShare));
  EXPECT_TRUE(conflicts(LockClass::kShare, LockClass::kNoKeyUpdate));
  EXPECT_FALSE(conflicts(LockClass::kShare, LockClass::kShare));
  EXPECT_FALSE(conflicts(LockClass::kShare, LockClass::kKeyShare));
}

TEST(ConflictTable, IsSymmetric) {
  for (LockClass a : kAll) {
    for (LockClass b : kAll) EXPECT_EQ(conflicts(a, b), conflicts(b, a));
  }
}

TEST(ConflictTable, AClassCoversThoseThatConflictWithNoMoreThanItself) {
  for (LockClass later : kAll) {
    for (LockClass earlier : kAll) {
      bool subset = true;
      for (LockClass third : kAll) {
        if (conflicts(earlier, third) && !conflicts(later, third)) subset = false;
      }
      EXPECT_EQ(covers(later, earlier), subset);
    }
  }
}

}  // namespace
}  // namespace zorya::adjudicator
