#include "gateway/json_text.h"

#include "base/random.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace zorya::gateway {
namespace {

std::string json_of(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonText, WhatJsonForbidsIsEscaped) {
  EXPECT_EQ(json_of(""), "\"\"");
  EXPECT_EQ(json_of("a\"b\\c/d"), R"("a\"b\\c/d")");
  EXPECT_EQ(json_of("\n\r\t\b\x1f\x7f"), "\"\\n\\r\\t\\u0008\\u001f\x7f\"");
  EXPECT_EQ(json_of(std::string_view("\0", 1)), R"("\u0000")");
  std::string out;
  append_json_string_or_null(out, {});
  append_json_string_or_null(out, "");
  EXPECT_EQ(out, "null\"\"");
}

TEST(JsonText, Utf8IsKeptAndWhatIsNoneIsReplaced) {
  EXPECT_EQ(json_of("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
            "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
  const std::string_view replaced = "\"\xef\xbf\xbd\"";
  EXPECT_EQ(json_of("\xff"), replaced);
  EXPECT_EQ(json_of("\xc3"), replaced);
  for (const std::string_view bad :
       {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_EQ(json_of(bad).find(bad), std::string::npos);
  }
}

TEST(JsonText, AnyBytesGiveAStringThatParses) {
  for (int round = 0; round < 3000; ++round) {
    std::string bytes(base::random_u64() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(base::random_u64());
    boost::json::error_code error;
    const auto value = boost::json::parse(json_of(bytes), error);
    ASSERT_FALSE(error) << error.message();
    ASSERT_TRUE(value.is_string());
  }
}

}  // namespace
}  // namespace zorya::gateway
