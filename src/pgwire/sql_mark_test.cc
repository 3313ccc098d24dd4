#include "pgwire/sql_mark.h"

#include <gtest/gtest.h>

#include <string>

namespace zorya::pgwire {
namespace {

std::string marked(std::string sql) {
  const std::size_t size = sql.size();
  mark_async(sql);
  EXPECT_EQ(sql.size(), size);
  return sql;
}

void expect_unchanged(const std::string& sql) { EXPECT_EQ(marked(sql), sql); }

TEST(SqlMark, MarksTheWordAfterIndex) {
  EXPECT_EQ(marked("CREATE INDEX ASYNC i ON t(v)"), "CREATE INDEX /*a*/ i ON t(v)");
  EXPECT_EQ(marked("create unique index Async if not exists i on t(v)"),
            "create unique index /*a*/ if not exists i on t(v)");
  EXPECT_EQ(marked("CREATE INDEX ASYNC ON t(v)"), "CREATE INDEX /*a*/ ON t(v)");
  EXPECT_EQ(marked("/* x */ create -- y\n index/**/async\ni on t(v)"),
            "/* x */ create -- y\n index/**//*a*/\ni on t(v)");
}

TEST(SqlMark, MarksTheWordAfterAlterTableOnlyBeforeAName) {
  EXPECT_EQ(marked("ALTER TABLE ASYNC t VALIDATE CONSTRAINT c"),
            "ALTER TABLE /*a*/ t VALIDATE CONSTRAINT c");
  EXPECT_EQ(marked("alter table async \"T\" validate constraint c"),
            "alter table /*a*/ \"T\" validate constraint c");
  expect_unchanged("ALTER TABLE async ADD COLUMN v int");
  expect_unchanged("ALTER TABLE async RENAME TO t");
  expect_unchanged("ALTER TABLE async.t ADD COLUMN v int");
  expect_unchanged("ALTER TABLE async");
}

TEST(SqlMark, MarksEachStatementOfAText) {
  std::string sql = "select 1; create index async a on t(v);create index async b on t(w)";
  EXPECT_EQ(mark_async(sql), 2u);
  EXPECT_EQ(sql, "select 1; create index /*a*/ a on t(v);create index /*a*/ b on t(w)");
}

TEST(SqlMark, LeavesTheWordElsewhere) {
  for (const auto* sql :
       {"select async from t", "create index i on async(v)", "create index i on t(async)",
        "create index \"async\" on t(v)", "create index \"ASYNC\" on t(v)",
        "create table async(v int)", "create index asynchronous on t(v)",
        "create index async_i on t(v)", "create index concurrently async on t(v)",
        "select 'create index async i on t(v)'", "x create index async i on t(v)",
        "explain create index async i on t(v)", "drop index async", "", "async", "ASYNC;", "create",
        "create index", "create index asyn"}) {
    expect_unchanged(sql);
  }
}

TEST(SqlMark, KnowsStringsNamesCommentsAndDollarQuotes) {
  for (const auto* before :
       {"select ';'", "select 'a''; x'", "select E'\\';'", "select e'a''\\'; x'",
        "select E'a'\n 'b\\'; x'", "select E'a' -- c\n 'b\\'; x'", "select U&'\\0041'",
        "select U&\"a;\"", "select \"a\"\";x\"", "select $$ ; ' $$", "select $t$ ; $$ $x$ $t$",
        "select $1", "select a$b$c", "select 1 /* ; /* ' */ ' */", "select 1 -- ' ; $$",
        "select b'1', x'ff', n';'", "select '\\'", "select date'2020-01-01'",
        "select \xc3\xa4'\xc3\xa4'"}) {
    const std::string sql = std::string(before) + "\n; create index async i on t(v)";
    std::string expected = sql;
    expected.replace(expected.rfind("async"), 5, "/*a*/");
    EXPECT_EQ(marked(sql), expected) << before;
  }
}

TEST(SqlMark, WhatIsInsideAStringStaysAsItIs) {
  for (const auto* sql :
       {"select '; create index async i on t(v)'", "select E'\\'; create index async i on t(v)'",
        "select E'a'\n'\\'; create index async i on t(v)'",
        "select $$; create index async i on t(v)$$", "select $a$; create index async i $$ $a$",
        "select \"; create index async i on t(v)\"", "/* ; create index async i on t(v) */",
        "/* /* */ ; create index async i on t(v) */", "-- ; create index async i on t(v)",
        "select '; create index async i on t(v)", "select $x$; create index async i on t(v)"}) {
    expect_unchanged(sql);
  }
  // A dollar inside an identifier begins no string.
  EXPECT_EQ(marked("select a$$; create index async i on t(v)"),
            "select a$$; create index /*a*/ i on t(v)");
}

TEST(SqlMark, KnowsWhatBeginsATransaction) {
  for (const auto* sql : {"begin", "BEGIN;", " /* x */ Begin read only", ";;begin work; select 1",
                          "start transaction", "START /**/ TRANSACTION isolation level x"}) {
    EXPECT_TRUE(begins_block(sql)) << sql;
  }
  for (const auto* sql : {"", ";", "start", "begins", "\"begin\"", "'begin'", "select 1; begin",
                          "commit", "start x transaction"}) {
    EXPECT_FALSE(begins_block(sql)) << sql;
  }
}

TEST(SqlMark, KnowsWhatEndsATransaction) {
  for (const auto* sql : {"commit", "END;", " /* x */ Commit work ", ";;commit", "end transaction;",
                          "-- a\ncommit; select 1"}) {
    EXPECT_EQ(first_word(sql), SqlWord::kCommit) << sql;
  }
  for (const auto* sql : {"rollback", "ABORT;", "rollback work", "abort transaction"}) {
    EXPECT_EQ(first_word(sql), SqlWord::kRollback) << sql;
  }
  for (const auto* sql : {"deallocate all", "DEALLOCATE x"}) {
    EXPECT_EQ(first_word(sql), SqlWord::kDeallocate) << sql;
  }
  for (const auto* sql : {"", ";", "select 1; commit", "commit prepared 'x'", "rollback to a",
                          "commit and chain", "commits", "\"commit\"", "begin", "'commit'"}) {
    EXPECT_EQ(first_word(sql), SqlWord::kOther) << sql;
  }
}

TEST(SqlMark, KnowsABatch) {
  for (const auto* sql : {"select 1; select 2", "; a; b", "a;;b", "select ';'; b"}) {
    EXPECT_TRUE(is_batch(sql)) << sql;
  }
  for (const auto* sql : {"", ";", "select 1", "select 1;", "select 1; -- ; x", ";; a ;;",
                          "select '; x'", "select $$;$$"}) {
    EXPECT_FALSE(is_batch(sql)) << sql;
  }
}

}  // namespace
}  // namespace zorya::pgwire
