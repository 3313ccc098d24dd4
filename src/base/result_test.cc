#include "base/result.h"

#include <gtest/gtest.h>

namespace zorya::base {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0)
    return Error{Code::kInvalidArgument, "half of an odd number", "pass an even one"};
  return number / 2;
}

Result<int> quarter(int number) {
  ZORYA_ASSIGN(const int halved, half(number));
  return half(halved);
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_EQ(*half(4), 2);
  EXPECT_EQ(half(3).error().code, Code::kInvalidArgument);
}

TEST(Result, AssignReturnsTheErrorOfTheFirstStepThatFails) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_FALSE(quarter(6).has_value());
  EXPECT_EQ(to_string(quarter(3).error()), "half of an odd number (pass an even one)");
}

TEST(Result, ValueOfAnErrorStopsTheProgram) {
  EXPECT_DEATH((void)half(3).value(), "half of an odd number");
}

TEST(Error, ContextGoesBeforeTheMessage) {
  EXPECT_EQ(errno_error("open /x", ENOENT).with_context("start").message,
            "start: open /x: No such file or directory");
}

}  // namespace
}  // namespace zorya::base
