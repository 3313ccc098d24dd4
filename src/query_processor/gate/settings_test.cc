#include "query_processor/gate/settings.h"

#include <gtest/gtest.h>

#include <string>

namespace zorya::query_processor::gate {
namespace {

TEST(Settings, ListedOnesAreSettableInAnyCase) {
  EXPECT_TRUE(is_settable("search_path"));
  EXPECT_TRUE(is_settable("DateStyle"));
  EXPECT_TRUE(is_settable("TIMEZONE"));
  EXPECT_TRUE(is_settable("role"));
}

TEST(Settings, EverythingElseIsNot) {
  for (const char* name :
       {"", " ", "work_mem", "statement_timeout", "lock_timeout",
        "idle_in_transaction_session_timeout", "row_security", "synchronize_seqscans",
        "standard_conforming_strings", "default_transaction_isolation", "session_authorization",
        "default_table_access_method", "session_replication_role", "zorya.max_rows", "search_path ",
        "search_pat"}) {
    EXPECT_FALSE(is_settable(name)) << name;
  }
  EXPECT_FALSE(is_settable(std::string("role\0x", 6)));
}

}  // namespace
}  // namespace zorya::query_processor::gate
