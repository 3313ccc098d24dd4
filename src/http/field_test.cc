#include "http/field.h"

#include <gtest/gtest.h>

#include <array>

namespace zorya::http {
namespace {

TEST(Field, NamesCompareWithoutCase) {
  EXPECT_TRUE(equals_ignoring_case("Content-Type", "content-TYPE"));
  EXPECT_FALSE(equals_ignoring_case("Content-Type", "Content-Typ"));
  EXPECT_FALSE(equals_ignoring_case("a@", "a`"));
}

TEST(Field, TheLastOfSeveralIsFound) {
  const std::array<FieldView, 3> fields{{{"X-A", "1"}, {"x-a", "2"}, {"X-Empty", {}}}};
  EXPECT_EQ(find_last(fields, "X-a"), "2");
  EXPECT_EQ(find_last(fields, "x-b").data(), nullptr);
  EXPECT_NE(find_last(fields, "x-empty").data(), nullptr);
}

TEST(Field, OnlyTokensAreNames) {
  EXPECT_TRUE(is_token("X-Custom_1.2~"));
  for (const std::string_view name : {"", "a b", "a:b", "a\r", "\xc3\xa4", "a(b)"}) {
    EXPECT_FALSE(is_token(name)) << name;
  }
}

TEST(Field, ControlCharactersAreNoValue) {
  EXPECT_TRUE(is_field_value("a\tb \xc3\xa4"));
  EXPECT_TRUE(is_field_value(""));
  EXPECT_FALSE(is_field_value("a\r\nX: y"));
  EXPECT_FALSE(is_field_value("a\nb"));
  EXPECT_FALSE(is_field_value(std::string_view("\0", 1)));
}

TEST(MediaType, TheFirstOneCounts) {
  EXPECT_EQ(first_media_type(" image/png ;q=1, */*"), "image/png");
  EXPECT_EQ(first_media_type(""), "");
  EXPECT_TRUE(media_type_matches("*/*", "x/y"));
  EXPECT_TRUE(media_type_matches("image/*", "Image/png"));
  EXPECT_FALSE(media_type_matches("image/*", "imagery/png"));
  EXPECT_FALSE(media_type_matches("image/*", "image/"));
  EXPECT_TRUE(media_type_matches("application/zip", "APPLICATION/ZIP"));
  EXPECT_FALSE(media_type_matches("application/zip", "application/json"));
}

}  // namespace
}  // namespace zorya::http
