#include "router/session_memory.h"

#include <gtest/gtest.h>

namespace zorya::router {
namespace {

using namespace std::string_literals;
using pgwire::SqlWord;
using pgwire::TransactionStatus;

std::string query(std::string_view sql) {
  std::string out;
  pgwire::append_query(out, sql);
  return out;
}

const SessionMemory::Settings fresh = {{"application_name", ""},
                                       {"client_encoding", "UTF8"},
                                       {"search_path", "public"},
                                       {"role", "none"}};

SessionMemory logged_in() {
  SessionMemory memory;
  for (const auto& [name, value] : fresh) memory.note_setting(name, value);
  memory.note_status(TransactionStatus::kIdle);
  return memory;
}

TEST(SessionMemory, WhatWasNotSetNeedsNotBeRestored) {
  SessionMemory memory = logged_in();
  memory.note_setting("server_encoding", "UTF8");  // no session can set it
  EXPECT_TRUE(memory.restoring(fresh).empty());
}

TEST(SessionMemory, SettingsAreRestoredTheEncodingFirstAndTheRoleLast) {
  SessionMemory memory = logged_in();
  memory.note_setting("search_path", "it's, public");
  memory.note_setting("role", "app");
  memory.note_setting("client_encoding", "LATIN1");
  memory.note_status(TransactionStatus::kIdle);
  memory.remember("s", "PARSE", SqlWord::kOther);
  const std::vector<std::string> expected = {
      query("SELECT pg_catalog.set_config('client_encoding', 'LATIN1', false)"),
      query("SELECT pg_catalog.set_config('search_path', 'it''s, public', false)"),
      "PARSES\0\0\0\4"s, query("SELECT pg_catalog.set_config('role', 'app', false)")};
  EXPECT_EQ(memory.restoring(fresh), expected);
}

TEST(SessionMemory, SettingsOfALostTransactionAreNot) {
  SessionMemory memory = logged_in();
  memory.note_setting("TimeZone", "UTC");
  memory.note_status(TransactionStatus::kIdle);
  for (const auto* name : {"application_name", "TimeZone", "search_path"}) {
    memory.note_setting(name, "lost");
  }
  memory.note_status(TransactionStatus::kInBlock);
  memory.drop_unsettled();
  EXPECT_EQ(memory.restoring(fresh).size(), 1u);
  EXPECT_EQ(memory.take_corrections(fresh),
            (SessionMemory::Settings{{"application_name", ""}, {"TimeZone", "UTC"}}));
  EXPECT_TRUE(memory.take_corrections(fresh).empty());
}

TEST(SessionMemory, StatementsAreForgottenWhenTheyAreClosed) {
  SessionMemory memory;
  memory.remember("a", "A", SqlWord::kCommit);
  memory.remember("a", "AA", SqlWord::kOther);
  EXPECT_FALSE(memory.has_transaction_words());
  memory.remember("b", "B", SqlWord::kCommit);
  EXPECT_TRUE(memory.has_transaction_words());
  EXPECT_EQ(memory.word_of("b"), SqlWord::kCommit);
  EXPECT_EQ(memory.word_of("c"), SqlWord::kOther);
  EXPECT_EQ(memory.restoring({}).size(), 2u);
  memory.forget("b");
  memory.forget("c");
  EXPECT_FALSE(memory.has_transaction_words());
  EXPECT_EQ(memory.restoring({}).size(), 1u);
  memory.forget_all();
  EXPECT_TRUE(memory.restoring({}).empty());
}

TEST(SessionMemory, ItIsBounded) {
  SessionMemory memory;
  const std::string big(SessionMemory::kStatementBytesMax / 2 + 1, 'x');
  memory.remember("a", big, SqlWord::kOther);
  memory.remember("b", big, SqlWord::kOther);
  EXPECT_EQ(memory.restoring({}).size(), 1u);
  memory.forget("a");
  memory.remember("b", big, SqlWord::kOther);
  EXPECT_EQ(memory.restoring({}).size(), 1u);
  memory.forget_all();
  for (std::size_t i = 0; i < SessionMemory::kStatementCountMax + 5; ++i) {
    memory.remember(std::to_string(i), "x", SqlWord::kOther);
  }
  EXPECT_EQ(memory.restoring({}).size(), SessionMemory::kStatementCountMax);
}

TEST(SessionMemory, ClientsHearOfWhatPostgresqlReportsByItself) {
  EXPECT_TRUE(SessionMemory::is_shown("TimeZone"));
  EXPECT_TRUE(SessionMemory::is_shown("server_encoding"));
  EXPECT_FALSE(SessionMemory::is_shown("search_path"));
  EXPECT_FALSE(SessionMemory::is_shown("role"));
}

}  // namespace
}  // namespace zorya::router
