#include "router/error_map.h"

#include "pgwire/frame.h"

#include <gtest/gtest.h>

namespace zorya::router {
namespace {

std::optional<pgwire::ErrorReport> map_body(const std::string& body) {
  const auto fields = pgwire::ErrorFields::parse(body);
  EXPECT_TRUE(fields);
  return map_error(*fields);
}

std::optional<pgwire::ErrorReport> map(std::string_view state, std::string_view message) {
  std::string out;
  pgwire::append_error(out, {.sqlstate = std::string(state), .message = std::string(message)});
  return map_body(out.substr(pgwire::kHeaderBytes));
}

TEST(ErrorMap, ConflictsInTheCatalogueAreOC001) {
  for (const auto& [state, message] :
       {std::pair("55P03", "canceling statement due to lock timeout"),
        std::pair("40P01", "deadlock detected"), std::pair("XX000", "tuple concurrently updated"),
        std::pair("XX000", "tuple concurrently deleted"),
        std::pair("XX000", "could not open relation with OID 41356"),
        std::pair("XX000", "cache lookup failed for attribute 2 of relation 20084")}) {
    const auto mapped = map(state, message);
    ASSERT_TRUE(mapped) << message;
    EXPECT_EQ(mapped->severity, "ERROR");
    EXPECT_EQ(mapped->sqlstate, "40001");
    EXPECT_EQ(mapped->message, "schema has been updated by another transaction (OC001)");
  }
}

TEST(ErrorMap, AnOC001SaysNothingElse) {
  using namespace std::string_literals;
  const auto mapped = map_body(
      "VERROR\0C40001\0Mschema has been updated by another transaction (OC001)\0HPerhaps you "
      "meant to reference the column \"t.v\".\0P8\0\0"s);
  ASSERT_TRUE(mapped);
  EXPECT_EQ(mapped->sqlstate, "40001");
  EXPECT_EQ(mapped->hint, "");
  EXPECT_FALSE(map("40001", "change conflicts with another transaction (OC000)"));
}

TEST(ErrorMap, ADuplicateIsOneOnlyInTheCatalogue) {
  using namespace std::string_literals;
  const auto in_catalogue = map_body("VERROR\0C23505\0Mduplicate\0spg_catalog\0tpg_class\0\0"s);
  ASSERT_TRUE(in_catalogue);
  EXPECT_EQ(in_catalogue->sqlstate, "40001");
  EXPECT_FALSE(map_body("VERROR\0C23505\0Mduplicate\0spublic\0tt\0\0"s));
}

TEST(ErrorMap, WordsThatPostgresqlLacks) {
  const auto space = map("53400", "temporary file size exceeds temp_file_limit (131072kB)");
  ASSERT_TRUE(space);
  EXPECT_EQ(space->sqlstate, "54000");
  EXPECT_EQ(space->message, "query requires more than allowed temp space of 131072 KB to execute");
  EXPECT_EQ(map("53400", "temporary file size exceeds temp_file_limit (64kB)")->message,
            "query requires more than allowed temp space of 64 KB to execute");
  EXPECT_FALSE(map("53400", "something else"));
  const auto key =
      map("54000", "index row size 2736 exceeds btree version 4 maximum 2704 for index \"i\"");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->message, "key size too large");
  EXPECT_FALSE(map("54000", "transaction row limit exceeded"));
  for (const auto* word : {"AWS", "aws"}) {
    const auto iam = map("42601", "syntax error at or near \"" + std::string(word) + "\"");
    ASSERT_TRUE(iam);
    EXPECT_EQ(iam->sqlstate, "0A000");
  }
  EXPECT_FALSE(map("42601", "syntax error at or near \"SELEC\""));
}

TEST(ErrorMap, KnowsABackendsLastWords) {
  const auto says = [](std::string_view state) {
    std::string out;
    pgwire::append_error(out, {.sqlstate = std::string(state), .message = "terminating"});
    const std::string body = out.substr(pgwire::kHeaderBytes);
    return is_loss(*pgwire::ErrorFields::parse(body));
  };
  for (const auto* state : {"57P01", "57P02", "57P03", "57P05", "25P03"}) {
    EXPECT_TRUE(says(state)) << state;
  }
  for (const auto* state : {"57014", "08P01", "XX000"}) EXPECT_FALSE(says(state)) << state;
}

TEST(ErrorMap, AgeIsToldWithItsFigures) {
  const auto report = transaction_too_old(std::chrono::seconds(317), std::chrono::seconds(300));
  EXPECT_EQ(report.sqlstate, "54000");
  EXPECT_EQ(report.message, "transaction age limit of 300s exceeded");
  EXPECT_EQ(report.detail, "Current transaction age 317s exceeds 300s");
}

TEST(ErrorMap, OtherErrorsStayAsTheyAre) {
  for (const auto* state : {"42P01", "23505", "40001", "57014", "XX000", "54000"}) {
    EXPECT_FALSE(map(state, "something")) << state;
  }
}

TEST(ErrorMap, TooManyBackendsAreTooManyConnections) {
  std::string out;
  pgwire::append_error(out, {.sqlstate = "53300", .message = "sorry, too many clients already"});
  const std::string body = out.substr(pgwire::kHeaderBytes);
  const auto mapped = map_login_error(*pgwire::ErrorFields::parse(body));
  ASSERT_TRUE(mapped);
  EXPECT_EQ(mapped->message, "Unable to accept connection, too many open connections.");
}

}  // namespace
}  // namespace zorya::router
