#include "http/target.h"

#include <gtest/gtest.h>

namespace zorya::http {
namespace {

TEST(Target, OriginFormIsCutAtTheFirstQuestionMark) {
  const auto target = parse_target("/a%2Fb/c/?x=1?&y=2");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/a%2Fb/c/");
  EXPECT_EQ(target->query, "x=1?&y=2");
  EXPECT_EQ(target->authority, "");
  EXPECT_EQ(parse_target("/")->path, "/");
  EXPECT_EQ(parse_target("/?")->query, "");
}

TEST(Target, AbsoluteFormGivesItsAuthority) {
  const auto target = parse_target("HTTP://example.org:3000/todos?a=b");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->authority, "example.org:3000");
  EXPECT_EQ(target->path, "/todos");
  EXPECT_EQ(target->query, "a=b");
  EXPECT_EQ(parse_target("https://h")->path, "/");
  EXPECT_EQ(parse_target("http://h?q")->query, "q");
  EXPECT_EQ(parse_target("http://h?q")->path, "/");
}

TEST(Target, WhatIsNoPathIsRefused) {
  for (const std::string_view text :
       {"", "*", "todos", "http://", "http:///x", "ftp://h/x", "host:443", "/a b", "/a\tb", "/a#b",
        "/a\x7f", "/a\r\nHost: x"}) {
    const auto target = parse_target(text);
    ASSERT_FALSE(target) << text;
    EXPECT_EQ(target.error().code, base::Code::kInvalidArgument);
  }
  EXPECT_FALSE(parse_target(std::string_view("/a\0b", 4)));
}

TEST(Target, RawUtf8Passes) { EXPECT_EQ(parse_target("/\xc3\xa4")->path, "/\xc3\xa4"); }

TEST(PercentDecode, InvalidEscapesStayAsTheyAre) {
  EXPECT_EQ(percent_decode("a%20b%2b%C3%A4", Plus::kLiteral), "a b+\xc3\xa4");
  EXPECT_EQ(percent_decode("%", Plus::kLiteral), "%");
  EXPECT_EQ(percent_decode("%4", Plus::kLiteral), "%4");
  EXPECT_EQ(percent_decode("%zz%4g%41", Plus::kLiteral), "%zz%4gA");
  EXPECT_EQ(percent_decode("a+b", Plus::kLiteral), "a+b");
  EXPECT_EQ(percent_decode("a+b", Plus::kSpace), "a b");
  EXPECT_EQ(percent_decode("%00", Plus::kSpace), std::string(1, '\0'));
}

TEST(Query, KeepsOrderAndRepeats) {
  const auto pairs = parse_query("b=2&a=1&b=3+4%26&c&=x&&d=e=f;g=h");
  ASSERT_EQ(pairs.size(), 7u);
  EXPECT_EQ(pairs[0].name, "b");
  EXPECT_EQ(pairs[2].value, "3 4&");
  EXPECT_EQ(pairs[3].name, "c");
  EXPECT_EQ(pairs[3].value, "");
  EXPECT_EQ(pairs[4].name, "");
  EXPECT_EQ(pairs[4].value, "x");
  EXPECT_EQ(pairs[5].value, "e=f");
  EXPECT_EQ(pairs[6].name, "g");
  EXPECT_TRUE(parse_query("").empty());
  EXPECT_TRUE(parse_query("&&;").empty());
}

}  // namespace
}  // namespace zorya::http
