#include "query_processor/gate/async_mark.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace zorya::query_processor::gate
