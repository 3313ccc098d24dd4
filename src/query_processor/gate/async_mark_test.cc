#include "query_processor/gate/async_mark.h"

#include "pgwire/sql_mark.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace zorya::query_processor::gate {
namespace {

TEST(AsyncMark, StandsBehindIndexOrTable) {
  EXPECT_TRUE(has_async_mark("CREATE INDEX /*a*/ i ON t(v)"));
  EXPECT_TRUE(has_async_mark("create unique index /*a*/ on t(v)"));
  EXPECT_TRUE(
      has_async_mark("  -- first\n/* second */ CREATE /* x */ INDEX /* y */ /*a*/i ON t(v)"));
  EXPECT_TRUE(has_async_mark("alter table /*a*/ t validate constraint c"));
}

TEST(AsyncMark, ElsewhereIsAComment) {
  EXPECT_FALSE(has_async_mark("CREATE INDEX i /*a*/ ON t(v)"));
  EXPECT_FALSE(has_async_mark("CREATE INDEX i ON t((v || '/*a*/'))"));
  EXPECT_FALSE(has_async_mark("CREATE /*a*/ INDEX i ON t(v)"));
  EXPECT_FALSE(has_async_mark("CREATE INDEX \"/*a*/\" ON t(v)"));
  EXPECT_FALSE(has_async_mark("-- CREATE INDEX /*a*/\nCREATE INDEX i ON t(v)"));
  EXPECT_FALSE(has_async_mark("CREATE INDEX /*a */ i ON t(v)"));
  EXPECT_FALSE(has_async_mark("CREATE INDEX /* /*a*/ */ i ON t(v)"));
  EXPECT_FALSE(has_async_mark("CREATE TABLE /*a*/ t(v int)"));
  EXPECT_FALSE(has_async_mark("INSERT INTO t VALUES ('CREATE INDEX /*a*/')"));
}

TEST(AsyncMark, AnyBytesAreFine) {
  EXPECT_FALSE(has_async_mark(""));
  EXPECT_FALSE(has_async_mark("CREATE"));
  EXPECT_FALSE(has_async_mark("CREATE INDEX"));
  EXPECT_FALSE(has_async_mark("CREATE INDEX /*"));
  EXPECT_FALSE(has_async_mark("CREATE INDEX /*a"));
  EXPECT_FALSE(has_async_mark("/* /* */ CREATE INDEX /*a*/ i"));
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(3, static_cast<char>(byte));
    EXPECT_FALSE(has_async_mark(text));
    EXPECT_FALSE(names_index_method(text));
  }
}

TEST(IndexMethod, IsSeenBeforeTheColumns) {
  EXPECT_TRUE(names_index_method("CREATE INDEX /*a*/ i ON t USING btree (v)"));
  EXPECT_TRUE(names_index_method("CREATE INDEX i ON t/**/using/**/hash(v)"));
  EXPECT_FALSE(names_index_method("CREATE INDEX i ON t (v) WHERE v = any(select 1 using)"));
  EXPECT_FALSE(names_index_method("CREATE INDEX \"using\" ON t (v)"));
  EXPECT_FALSE(names_index_method("CREATE INDEX i ON \"a \"\" using \" (v)"));
  EXPECT_FALSE(names_index_method("CREATE INDEX /* using */ i ON t -- using\n(v)"));
}

/// The session router writes the mark and the gate reads it: two scanners that must agree.
TEST(AsyncMark, IsReadWhereTheRouterWritesIt) {
  static constexpr std::string_view kWords[] = {"CREATE",
                                                "create",
                                                "UNIQUE",
                                                "INDEX",
                                                "index",
                                                "ASYNC",
                                                "async",
                                                "ALTER",
                                                "TABLE",
                                                "t",
                                                "\"async\"",
                                                "ON",
                                                "IF",
                                                "NOT",
                                                "EXISTS",
                                                "/* x */",
                                                "/* /* */ async */",
                                                "-- async\n",
                                                "'async'",
                                                "$$async$$",
                                                "(v)",
                                                "VALIDATE",
                                                "CONSTRAINT",
                                                "c",
                                                "ADD",
                                                "COLUMN",
                                                "USING"};
  std::mt19937 dice(20261126);
  std::uniform_int_distribution<std::size_t> word(0, std::size(kWords) - 1);
  int marked = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string text(round % 2 == 0 ? "CREATE INDEX ASYNC " : "");
    if (round % 5 == 0) text = "ALTER TABLE ";
    const int count = 1 + round % 7;
    for (int i = 0; i < count; ++i) (text += kWords[word(dice)]) += ' ';
    const std::size_t marks = pgwire::mark_async(text);
    ASSERT_EQ(has_async_mark(text), marks == 1) << text;
    if (marks == 1) ++marked;
  }
  EXPECT_GT(marked, 2'000);
}

}  // namespace
}  // namespace zorya::query_processor::gate
