#include "base/json_fields.h"

#include <gtest/gtest.h>

namespace zorya::base {
namespace {

TEST(JsonFields, WhatIsAbsentOrOfAnotherKindReadsAsNothing) {
  const boost::json::object object{{"text", "a"}, {"number", 7}, {"below", -7}, {"none", nullptr}};
  EXPECT_EQ(text_of(object, "text"), "a");
  EXPECT_EQ(text_of(object, "number"), "");
  EXPECT_EQ(text_of(object, "none"), "");
  EXPECT_EQ(text_of(object, "absent"), "");
  EXPECT_EQ(number_of(object, "number"), 7U);
  EXPECT_EQ(number_of(object, "below"), 0U);
  EXPECT_EQ(number_of(object, "text"), 0U);
  EXPECT_EQ(number_of(object, "absent"), 0U);
}

}  // namespace
}  // namespace zorya::base
