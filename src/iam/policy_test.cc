#include "iam/policy.h"

#include <gtest/gtest.h>

namespace zorya::iam {
namespace {

constexpr std::string_view kCluster = "arn:aws:dsql:us-east-1:000000000000:cluster/abc";

Identity identity_with(std::vector<Statement> policy) {
  return {.arn = "arn:aws:iam::000000000000:user/u", .policy = std::move(policy)};
}

TEST(Policy, NothingIsAllowedBySilence) {
  EXPECT_EQ(decide(identity_with({}), "dsql:DbConnect", kCluster), Decision::kDeniedBySilence);
}

TEST(Policy, WildcardsMatchActionsWithoutCaseAndResourcesWithCase) {
  const auto identity = identity_with({{.allow = true,
                                        .actions = {"DSQL:dbconnect*"},
                                        .resources = {"arn:aws:dsql:*:cluster/a?c"}}});
  EXPECT_TRUE(is_allowed(identity, "dsql:DbConnectAdmin", kCluster));
  EXPECT_FALSE(is_allowed(identity, "dsql:GetCluster", kCluster));
  EXPECT_FALSE(
      is_allowed(identity, "dsql:DbConnect", "arn:aws:dsql:us-east-1:000000000000:cluster/ABC"));
  EXPECT_FALSE(
      is_allowed(identity, "dsql:DbConnect", "arn:aws:dsql:us-east-1:000000000000:cluster/abcd"));
}

TEST(Policy, AnExplicitDenyWinsWhateverTheOrder) {
  const Statement allow{.allow = true, .actions = {"*"}, .resources = {"*"}};
  const Statement deny{.allow = false, .actions = {"dsql:*"}, .resources = {std::string(kCluster)}};
  EXPECT_EQ(decide(identity_with({allow, deny}), "dsql:DbConnect", kCluster),
            Decision::kDeniedExplicitly);
  EXPECT_EQ(decide(identity_with({deny, allow}), "dsql:DbConnect", kCluster),
            Decision::kDeniedExplicitly);
  EXPECT_TRUE(is_allowed(identity_with({deny, allow}), "s3:GetObject", "arn:aws:s3:::b/k"));
}

TEST(Policy, ManyStarsDoNotTakeForever) {
  const auto identity = identity_with(
      {{.allow = true, .actions = {"*"}, .resources = {"arn:*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"}}});
  EXPECT_FALSE(is_allowed(identity, "x:y", "arn:" + std::string(20'000, 'a')));
}

TEST(Policy, ReadsOneStatementOrAList) {
  const auto one = parse_policy(
      R"({"Version":"2012-10-17","Statement":{"Sid":"A","Effect":"Allow","Action":"dsql:DbConnect","Resource":"*"}})");
  ASSERT_TRUE(one) << one.error().message;
  ASSERT_EQ(one->size(), 1u);
  const auto two = parse_policy(
      R"({"Statement":[{"Effect":"Allow","Action":["a:b","c:*"],"Resource":["*"]},
                       {"Effect":"Deny","Action":"*","Resource":"arn:aws:s3:::b/*"}]})");
  ASSERT_TRUE(two) << two.error().message;
  EXPECT_EQ((*two)[0].actions, (std::vector<std::string>{"a:b", "c:*"}));
  EXPECT_FALSE((*two)[1].allow);
  const auto again = parse_policy(policy_document(*two));
  ASSERT_TRUE(again);
  EXPECT_EQ(policy_document(*again), policy_document(*two));
}

TEST(Policy, WhatIsNotEvaluatedIsRefusedByName) {
  const auto refusal = [](std::string_view extra) {
    const auto result =
        parse_policy(R"({"Statement":{"Effect":"Allow","Action":"a:b","Resource":"*",)" +
                     std::string(extra) + "}}");
    return result ? std::string("taken") : result.error().message;
  };
  EXPECT_EQ(refusal(R"("Condition":{})"), "policy: Condition is not supported");
  EXPECT_EQ(refusal(R"("NotAction":"x:y")"), "policy: NotAction is not supported");
  EXPECT_EQ(refusal(R"("Principal":"*")"), "policy: Principal is not supported");
  EXPECT_EQ(refusal(R"("Colour":"red")"), "policy: unknown element Colour in a statement");
  const auto not_resource =
      parse_policy(R"({"Statement":{"Effect":"Deny","Action":"a:b","NotResource":"*"}})");
  ASSERT_FALSE(not_resource);
  EXPECT_EQ(not_resource.error().message, "policy: NotResource is not supported");
}

TEST(Policy, BadDocumentsAreErrors) {
  for (const auto* bad :
       {"", "[]", "{", "{}", R"({"Statement":[]})", R"({"Version":"2020-01-01","Statement":[]})",
        R"({"Statement":{"Effect":"allow","Action":"a:b","Resource":"*"}})",
        R"({"Statement":{"Effect":"Allow","Action":"ab","Resource":"*"}})",
        R"({"Statement":{"Effect":"Allow","Action":[],"Resource":"*"}})",
        R"({"Statement":{"Effect":"Allow","Action":[1],"Resource":"*"}})",
        R"({"Statement":{"Effect":"Allow","Action":"a:b","Resource":"cluster/x"}})",
        R"({"Statement":{"Effect":"Allow","Action":"a:b","Resource":"arn:aws:s3:::${x}"}})",
        R"({"Statement":{"Effect":"Allow","Action":"a:b"}})"}) {
    EXPECT_FALSE(parse_policy(bad)) << bad;
  }
  EXPECT_FALSE(parse_policy(std::string(100'000, '[')));
}

}  // namespace
}  // namespace zorya::iam
