#include "cluster/settings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace zorya::cluster {
namespace {

std::map<std::string, std::string> by_name(const Settings& settings) {
  std::map<std::string, std::string> named;
  for (const auto& [key, value] : settings) named[key] = value;
  return named;
}

TEST(Settings, AreKeyValueLinesWithComments) {
  auto settings = parse_settings("# head\n\n a = b c  # tail\nx=\r\n  y = 1", "file");
  ASSERT_TRUE(settings);
  EXPECT_EQ(*settings, (Settings{{"a", "b c"}, {"x", ""}, {"y", "1"}}));
  EXPECT_TRUE(parse_settings("", "file")->empty());
}

TEST(Settings, ALineWithoutAnEqualsSignIsRefusedByItsNumber) {
  for (const char* bad : {"a = 1\nnonsense\n", "a = 1\n = 2\n"}) {
    auto settings = parse_settings(bad, "query_processor.conf");
    ASSERT_FALSE(settings);
    EXPECT_EQ(settings.error().code, base::Code::kInvalidArgument);
    EXPECT_EQ(settings.error().message, "query_processor.conf:2: expected `key = value`");
  }
}

TEST(Settings, AServerKeepsWhatItAcknowledges) {
  const auto settings = by_name(server_settings());
  EXPECT_EQ(settings.at("fsync"), "on");
  EXPECT_EQ(settings.at("synchronous_commit"), "on");
  EXPECT_EQ(settings.at("full_page_writes"), "on");
}

TEST(Settings, ATemplateTradesDurabilityForTime) {
  EXPECT_EQ(by_name(template_settings()).at("fsync"), "off");
}

TEST(AccessRules, RefuseTheOwnerUnlessTheDoorIsOpen) {
  const std::string closed = access_rules(OwnerDoor::kClosed);
  EXPECT_NE(closed.find("local all zorya_owner reject\n"), std::string::npos);
  // The first match holds, so the refusal comes before any rule that lets in.
  EXPECT_LT(closed.find("zorya_owner reject"), closed.find("trust"));
  EXPECT_NE(access_rules(OwnerDoor::kOpen).find("local all zorya_owner trust\n"),
            std::string::npos);
  EXPECT_TRUE(closed.ends_with("local all all reject\n"));
}

TEST(AccessRules, LetNobodyInAsTheRoleOfJobs) {
  for (const OwnerDoor door : {OwnerDoor::kClosed, OwnerDoor::kOpen}) {
    const std::string rules = access_rules(door);
    EXPECT_LT(rules.find("local all zorya_jobs reject\n"), rules.find("local postgres all trust"));
  }
}

}  // namespace
}  // namespace zorya::cluster
