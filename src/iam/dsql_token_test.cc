#include "iam/dsql_token.h"

#include "iam/sigv4.h"

#include <gtest/gtest.h>

#include <cctype>
#include <map>
#include <random>

namespace zorya::iam {
namespace {

using std::chrono::seconds;

constexpr std::string_view kHost = "test.dsql.us-east-1.on.aws";
constexpr std::string_view kArn = "arn:aws:dsql:us-east-1:000000000000:cluster/test";

/// Keys with fixed values, so that published signatures can be compared.
class FixedKeys final : public KeyStore {
 public:
  FixedKeys() {
    AccessKey key;
    key.access_key_id = "ACCESS_KEY";
    key.secret_access_key = "SECRET_KEY";
    key.session_token = "SESSION_TOKEN";
    key.identity = {.arn = "arn:aws:iam::0:user/u",
                    .policy = {{.allow = true, .actions = {"dsql:*"}, .resources = {"*"}}}};
    keys["ACCESS_KEY"] = key;
    key.access_key_id = "LONG_LIVED";
    key.session_token.clear();
    keys["LONG_LIVED"] = key;
  }
  AccessKey admin() const override { return keys.at("LONG_LIVED"); }
  std::optional<AccessKey> find(std::string_view id) const override {
    const auto found = keys.find(std::string(id));
    return found == keys.end() ? std::nullopt : std::optional(found->second);
  }
  AccessKey mint_session(Identity, seconds) override { return {}; }

  std::map<std::string, AccessKey> keys;
};

class DsqlToken : public testing::Test {
 protected:
  std::string token(std::string_view role = "admin", std::string_view key = "LONG_LIVED",
                    std::string_view host = kHost, std::string_view region = "us-east-1") {
    auto made = make_dsql_token(keys_.keys.at(std::string(key)), {.host = std::string(host),
                                                                  .region = std::string(region),
                                                                  .role = std::string(role),
                                                                  .now = made_at_,
                                                                  .lifetime = seconds(900)});
    EXPECT_TRUE(made);
    return *made;
  }
  TokenVerdict verify(std::string_view text, std::string_view role = "admin") {
    return verify_dsql_token(text,
                             {.host = std::string(kHost),
                              .region = "us-east-1",
                              .role = std::string(role),
                              .cluster_arn = std::string(kArn),
                              .now = now_},
                             keys_);
  }
  static std::string replaced(std::string text, std::string_view from, std::string_view to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }

  FixedKeys keys_;
  std::chrono::system_clock::time_point made_at_ = *parse_date_time("20241107T173933Z");
  std::chrono::system_clock::time_point now_ = made_at_ + seconds(60);
};

TEST_F(DsqlToken, IsTheOneThatTheSdkMakes) {
  // Signatures as published in botocore's tests/unit/test_signers.py.
  EXPECT_EQ(token("admin", "ACCESS_KEY"),
            "test.dsql.us-east-1.on.aws/?Action=DbConnectAdmin&X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=ACCESS_KEY%2F20241107%2Fus-east-1%2Fdsql%2Faws4_request"
            "&X-Amz-Date=20241107T173933Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
            "&X-Amz-Security-Token=SESSION_TOKEN&X-Amz-Signature="
            "5ac084bc7cabccc19a52a5d1b5c24b50d3ce143f43b659bd484c91aaf555e190");
  const std::string other = token("app", "ACCESS_KEY");
  EXPECT_EQ(other.substr(other.size() - 64),
            "57fe03e060348aaa21405c239bf02572bbc911076e94dcd65c12ae569dd8fcf4");
}

TEST_F(DsqlToken, OfAKnownKeyIsAcceptedForItsRole) {
  EXPECT_EQ(verify(token()).outcome, TokenOutcome::kAccepted);
  EXPECT_EQ(verify(token("admin", "ACCESS_KEY")).outcome, TokenOutcome::kAccepted);
  const auto verdict = verify(token("app"), "app");
  EXPECT_EQ(verdict.outcome, TokenOutcome::kAccepted);
  EXPECT_EQ(verdict.identity_arn, "arn:aws:iam::0:user/u");
}

TEST_F(DsqlToken, ExpiresWithoutGrace) {
  now_ = made_at_ + seconds(900);
  EXPECT_EQ(verify(token()).outcome, TokenOutcome::kAccepted);
  now_ = made_at_ + seconds(901);
  const auto verdict = verify(token());
  EXPECT_EQ(verdict.outcome, TokenOutcome::kExpired);
  EXPECT_EQ(verdict.hint,
            "Signature expired: 20241107T175433Z is now earlier than 20241107T175434Z");
}

TEST_F(DsqlToken, MayBeDatedFiveMinutesAhead) {
  now_ = made_at_ - seconds(300);
  EXPECT_EQ(verify(token()).outcome, TokenOutcome::kAccepted);
  now_ = made_at_ - seconds(301);
  const auto verdict = verify(token());
  EXPECT_EQ(verdict.outcome, TokenOutcome::kNotYetCurrent);
  EXPECT_EQ(verdict.hint.substr(0, 27), "Signature not yet current: ");
}

TEST_F(DsqlToken, WithAnyPartChangedIsRefused) {
  const std::string good = token();
  EXPECT_EQ(verify(replaced(good, "Expires=900", "Expires=901")).outcome,
            TokenOutcome::kSignatureDiffers);
  EXPECT_EQ(verify(good + "&X-Extra=1").outcome, TokenOutcome::kSignatureDiffers);
  std::string flipped = good;
  flipped.back() = flipped.back() == '0' ? '1' : '0';
  EXPECT_EQ(verify(flipped).outcome, TokenOutcome::kSignatureDiffers);
  EXPECT_EQ(verify(good.substr(0, good.size() - 1)).outcome, TokenOutcome::kSignatureDiffers);
  EXPECT_EQ(verify(replaced(good, "Action=DbConnectAdmin", "Action=DbConnect"), "app").outcome,
            TokenOutcome::kSignatureDiffers);
}

TEST_F(DsqlToken, ForAnotherHostIsRefused) {
  const auto verdict = verify(token("admin", "LONG_LIVED", "other.dsql.us-east-1.on.aws"));
  EXPECT_EQ(verdict.outcome, TokenOutcome::kSignatureDiffers);
  EXPECT_EQ(verdict.reason, "the token is for another host");
  const std::string renamed = replaced(token(), kHost, "other.dsql.us-east-1.on.aws");
  EXPECT_EQ(verify(renamed).outcome, TokenOutcome::kSignatureDiffers);
}

TEST_F(DsqlToken, OfAnotherScopeIsRefusedInTheServicesWords) {
  EXPECT_EQ(verify(token("admin", "LONG_LIVED", kHost, "eu-west-1")).hint,
            "Credential should be scoped to a valid Region, not 'eu-west-1'.");
  EXPECT_EQ(verify(replaced(token(), "%2Fdsql%2F", "%2Frds%2F")).hint,
            "Credential should be scoped to correct service: 'dsql'.");
  EXPECT_EQ(verify(replaced(token(), "aws4_request", "aws5_request")).outcome,
            TokenOutcome::kWrongScope);
  EXPECT_EQ(verify(replaced(token(), "LONG_LIVED%2F20241107", "LONG_LIVED%2F20241106")).outcome,
            TokenOutcome::kWrongScope);
}

TEST_F(DsqlToken, OfAnUnknownKeyOrForeignSessionIsInvalid) {
  constexpr std::string_view kText = "The security token included in the request is invalid.";
  const std::string good = token("admin", "ACCESS_KEY");
  EXPECT_EQ(verify(replaced(good, "=ACCESS_KEY%2F", "=NOBODY%2F")).hint, kText);
  EXPECT_EQ(verify(replaced(good, "SESSION_TOKEN", "OTHER")).hint, kText);
  EXPECT_EQ(verify(replaced(good, "&X-Amz-Security-Token=SESSION_TOKEN", "")).hint, kText);
}

TEST_F(DsqlToken, OfAnExpiredSessionKeyIsExpired) {
  keys_.keys["ACCESS_KEY"].expires = now_;
  const auto verdict = verify(token("admin", "ACCESS_KEY"));
  EXPECT_EQ(verdict.outcome, TokenOutcome::kExpiredKey);
  EXPECT_EQ(verdict.hint, "The security token included in the request is expired");
}

TEST_F(DsqlToken, MustFitTheRole) {
  EXPECT_EQ(verify(token("app")).hint,
            "Wrong user to action mapping. user: admin, action: DbConnect");
  EXPECT_EQ(verify(token("admin"), "app").hint,
            "Wrong user to action mapping. user: app, action: DbConnectAdmin");
}

TEST_F(DsqlToken, IsJudgedByTheIdentitysPolicy) {
  auto& policy = keys_.keys["LONG_LIVED"].identity.policy;
  policy = {{.allow = true, .actions = {"dsql:DbConnect"}, .resources = {"*"}}};
  EXPECT_EQ(verify(token()).hint,
            "User: arn:aws:iam::0:user/u is not authorized to perform: dsql:DbConnectAdmin on "
            "resource: arn:aws:dsql:us-east-1:000000000000:cluster/test because no identity-based "
            "policy allows the dsql:DbConnectAdmin action");
  policy.push_back({.allow = false, .actions = {"dsql:DbConnectAdmin"}, .resources = {"*"}});
  EXPECT_NE(verify(token()).hint.find("with an explicit deny in an identity-based policy"),
            std::string::npos);
}

TEST_F(DsqlToken, ThatIsNoTokenIsRefusedWithoutTellingItBack) {
  const std::string good = token();
  const std::string long_value(20'000, 'x');
  for (const std::string& bad :
       {std::string(), std::string("secret-password"), std::string("/?"), std::string("h/?"),
        std::string("h/?Action=DbConnectAdmin"), good.substr(0, good.find("&X-Amz-Date")),
        good + "&Action=DbConnect", good + "&X-Amz-Expires=5", good + "&x=%",
        good + "&x=" + long_value, replaced(good, "Expires=900", "Expires=0"),
        replaced(good, "Expires=900", "Expires=604801"),
        replaced(good, "Expires=900", "Expires=9e2"),
        replaced(good, "SignedHeaders=host", "SignedHeaders=host%3Bdate"),
        replaced(good, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        replaced(good, "20241107T173933Z", "20241107T1739Z")}) {
    const auto verdict = verify(bad);
    EXPECT_EQ(verdict.outcome, TokenOutcome::kMalformed) << bad;
    EXPECT_EQ(verdict.hint.find("secret-password"), std::string::npos);
  }
}

TEST_F(DsqlToken, WithAnyByteChangedIsRefused) {
  const std::string good = token("admin", "ACCESS_KEY");
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const char other : {'0', 'a', '%', '&', '=', '/', '\0', '\xff'}) {
      std::string bad = good;
      bad[at] = other;
      // %2f is %2F.
      const bool same_escape = std::tolower(good[at]) == std::tolower(other);
      if (same_escape) continue;
      EXPECT_NE(verify(bad).outcome, TokenOutcome::kAccepted) << bad;
    }
    EXPECT_NE(verify(good.substr(0, at)).outcome, TokenOutcome::kAccepted);
    EXPECT_NE(verify(good.substr(at + 1)).outcome, TokenOutcome::kAccepted);
  }
}

TEST_F(DsqlToken, RandomBytesNeverBreakTheParser) {
  std::mt19937 random(20261126);
  const std::string good = token("admin", "ACCESS_KEY");
  for (int round = 0; round < 5'000; ++round) {
    std::string bytes = good;
    for (int change = 0; change < 4; ++change) {
      const std::size_t at = random() % bytes.size();
      if (random() % 2 == 0) {
        bytes[at] = static_cast<char>(random());
      } else {
        bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 40));
      }
    }
    if (bytes == good) continue;
    EXPECT_NE(verify(bytes).outcome, TokenOutcome::kAccepted) << bytes;
  }
}

TEST_F(DsqlToken, LivesAWeekAtMost) {
  TokenRequest request{.host = "h", .region = "r", .now = now_, .lifetime = seconds(604'801)};
  EXPECT_FALSE(make_dsql_token(keys_.admin(), request));
  request.lifetime = seconds(0);
  EXPECT_FALSE(make_dsql_token(keys_.admin(), request));
}

}  // namespace
}  // namespace zorya::iam
