#include "pgwire/startup.h"

#include "pgwire/frame.h"

#include <gtest/gtest.h>

namespace zorya::pgwire {
namespace {

using namespace std::string_view_literals;
using Parameters = std::vector<std::pair<std::string, std::string>>;

TEST(Startup, ReadsBackWhatItPrints) {
  const Parameters parameters = {{"user", "admin"}, {"database", "postgres"}, {"user", "last"}};
  const std::string packet = print_startup(parameters);
  EXPECT_EQ(read_u32(packet), packet.size());
  const auto read = parse_startup(std::string_view(packet).substr(4));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->kind, StartupKind::kStartup);
  EXPECT_EQ(read->minor_version, 0u);
  EXPECT_EQ(read->parameters, parameters);
  EXPECT_EQ(read->parameter("user"), "last");
  EXPECT_EQ(read->parameter("absent"), "");
}

TEST(Startup, KnowsTheOtherFirstPackets) {
  EXPECT_EQ(parse_startup("\x04\xd2\x16\x2f"sv)->kind, StartupKind::kSslRequest);
  EXPECT_EQ(parse_startup("\x04\xd2\x16\x30"sv)->kind, StartupKind::kGssEncryptionRequest);
  const std::string cancel = print_cancel_request({.process_id = 7, .secret = 9});
  const auto read = parse_startup(std::string_view(cancel).substr(4));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, StartupKind::kCancelRequest);
  EXPECT_EQ(read->cancel_key.process_id, 7u);
  EXPECT_EQ(read->cancel_key.secret, 9u);
  EXPECT_EQ(parse_startup("\0\3\0\2\0"sv)->minor_version, 2u);
}

TEST(Startup, MalformedPacketsAreErrors) {
  for (const auto bad :
       {""sv, "\0\3"sv, "\0\3\0\0"sv, "\0\3\0\0user"sv, "\0\3\0\0user\0"sv, "\0\3\0\0user\0admin"sv,
        "\0\3\0\0user\0admin\0"sv, "\0\3\0\0user\0admin\0\0x"sv, "\x04\xd2\x16\x2fx"sv,
        "\x04\xd2\x16\x2e\0\0\0\7"sv}) {
    const auto read = parse_startup(bad);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, base::Code::kInvalidArgument);
  }
  const auto old = parse_startup("\0\2\0\0"sv);
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().message, "unsupported frontend protocol 2.0: server supports 3.0 to 3.0");
}

TEST(Startup, OptionsAreSplitAsPostgresDoes) {
  const auto read = parse_options(
      "  -c search_path=a\\ b,\\\\c -cTimeZone=UTC --amzn-cluster-id=x=y\t-c amzn-cluster-id=z");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, (Parameters{{"search_path", "a b,\\c"},
                               {"TimeZone", "UTC"},
                               {"amzn_cluster_id", "x=y"},
                               {"amzn_cluster_id", "z"}}));
  EXPECT_TRUE(parse_options("")->empty());
  for (const auto* bad : {"-d 5", "-c", "-c x", "-c =1", "--", "x", "-W 1", "-f"}) {
    EXPECT_FALSE(parse_options(bad)) << bad;
  }
}

}  // namespace
}  // namespace zorya::pgwire
