#include "router/limits.h"

#include <gtest/gtest.h>

namespace zorya::router {
namespace {

using namespace std::chrono_literals;

TEST(TokenBucket, GivesItsBurstThenItsRate) {
  const TokenBucket::Time start{};
  TokenBucket bucket(100, 1000, start);
  int taken = 0;
  while (bucket.take(start)) ++taken;
  EXPECT_EQ(taken, 1000);
  EXPECT_FALSE(bucket.take(start + 9ms));
  EXPECT_TRUE(bucket.take(start + 19ms));
  taken = 0;
  while (bucket.take(start + 1019ms)) ++taken;
  EXPECT_EQ(taken, 100);
}

TEST(TokenBucket, NeverSavesMoreThanItsBurstAndStandsAClockThatGoesBack) {
  const TokenBucket::Time start{};
  TokenBucket bucket(10, 2, start);
  EXPECT_TRUE(bucket.take(start + 1h));
  EXPECT_TRUE(bucket.take(start + 1h));
  EXPECT_FALSE(bucket.take(start + 1h));
  EXPECT_FALSE(bucket.take(start));
}

}  // namespace
}  // namespace zorya::router
