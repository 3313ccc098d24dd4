#include "pgwire/messages.h"

#include "pgwire/frame.h"

#include <gtest/gtest.h>

namespace zorya::pgwire {
namespace {

using namespace std::string_view_literals;

std::string_view body_of(const std::string& message) {
  EXPECT_EQ(read_u32(std::string_view(message).substr(1)), message.size() - 1);
  return std::string_view(message).substr(kHeaderBytes);
}

TEST(Messages, AnErrorReadsBackAsItWasWritten) {
  std::string out;
  append_error(out, {.severity = "FATAL",
                     .sqlstate = "08006",
                     .message = "no",
                     .detail = "Session Id: x",
                     .hint = "because"});
  EXPECT_EQ(out[0], 'E');
  const auto fields = ErrorFields::parse(body_of(out));
  ASSERT_TRUE(fields);
  EXPECT_EQ((*fields)['S'], "FATAL");
  EXPECT_EQ((*fields)['V'], "FATAL");
  EXPECT_EQ((*fields)['C'], "08006");
  EXPECT_EQ((*fields)['M'], "no");
  EXPECT_EQ((*fields)['D'], "Session Id: x");
  EXPECT_EQ((*fields)['H'], "because");
  EXPECT_EQ((*fields)['W'], "");
}

TEST(Messages, EmptyFieldsAreLeftOutAndZeroBytesCannotBreakAMessage) {
  std::string out;
  append_error(out, {.sqlstate = "XX000", .message = std::string("a\0Mb", 4)});
  EXPECT_EQ(body_of(out), "SERROR\0VERROR\0CXX000\0Ma\0\0"sv);
}

TEST(Messages, MalformedBodiesAreNotRead) {
  for (const auto bad : {""sv, "S"sv, "Sx"sv, "Sx\0"sv}) EXPECT_FALSE(ErrorFields::parse(bad));
  EXPECT_FALSE(parse_parameter_status("a\0"sv));
  EXPECT_FALSE(parse_parameter_status("a\0b"sv));
  EXPECT_FALSE(parse_parameter_status("a\0b\0c"sv));
  EXPECT_FALSE(parse_backend_key_data("1234567"sv));
  EXPECT_FALSE(parse_ready_for_query(""sv));
  EXPECT_FALSE(parse_ready_for_query("X"sv));
  EXPECT_FALSE(parse_ready_for_query("II"sv));
}

TEST(Messages, PrintAsTheManualSays) {
  std::string out;
  append_authentication_cleartext(out);
  EXPECT_EQ(out, "R\0\0\0\10\0\0\0\3"sv);
  out.clear();
  append_authentication_ok(out);
  EXPECT_EQ(out, "R\0\0\0\10\0\0\0\0"sv);
  out.clear();
  append_backend_key_data(out, 0x01020304, 0xfffefdfc);
  const auto key = parse_backend_key_data(body_of(out));
  ASSERT_TRUE(key);
  EXPECT_EQ(key->process_id, 0x01020304u);
  EXPECT_EQ(key->secret, 0xfffefdfcu);
  out.clear();
  append_parameter_status(out, "server_version", "16.15");
  EXPECT_EQ(parse_parameter_status(body_of(out)), std::pair("server_version"sv, "16.15"sv));
  out.clear();
  append_row_description(out, "job_id");
  EXPECT_EQ(body_of(out), "\0\1job_id\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"sv);
  out.clear();
  append_data_row(out, "abc");
  EXPECT_EQ(body_of(out),
            "\0\1\0\0\0\3"sv
            "abc"sv);
  out.clear();
  append_negotiate_version(out, {"_pq_.x"});
  EXPECT_EQ(body_of(out), "\0\3\0\0\0\0\0\1_pq_.x\0"sv);
  out.clear();
  append_ready_for_query(out, TransactionStatus::kFailed);
  EXPECT_EQ(out, "Z\0\0\0\5E"sv);
  EXPECT_EQ(parse_ready_for_query("T"), TransactionStatus::kInBlock);
}

TEST(Messages, ADataRowReadsBack) {
  const auto row = parse_data_row("\0\3\0\0\0\2ab\xff\xff\xff\xff\0\0\0\0"sv);
  ASSERT_TRUE(row);
  EXPECT_EQ(*row, (std::vector<std::string_view>{"ab", "", ""}));
  for (const auto bad :
       {""sv, "\0"sv, "\0\1"sv, "\0\1\0\0\0\2a"sv, "\0\1\xff\xff\xff\xfe"sv, "\0\0x"sv}) {
    EXPECT_FALSE(parse_data_row(bad));
  }
}

}  // namespace
}  // namespace zorya::pgwire
