#include "function_host/name_server.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace zorya::function_host {
namespace {

std::string query_for(const std::string& name, char type = 1) {
  std::string query("\x12\x34\x01\0\0\1\0\0\0\0\0\0", 12);
  std::size_t at = 0;
  while (at < name.size()) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    query.push_back(static_cast<char>(dot - at));
    query += name.substr(at, dot - at);
    at = dot + 1;
  }
  query += std::string("\0\0", 2);
  query.push_back(type);
  query += std::string("\0\1", 2);
  return query;
}

TEST(NameServer, GivesTheLoopbackForClusters) {
  const auto answer = answer_name_query(query_for("AbC.dsql.us-east-1.on.aws"), "us-east-1");
  EXPECT_TRUE(answer.known);
  EXPECT_EQ(answer.name, "abc.dsql.us-east-1.on.aws");
  EXPECT_TRUE(answer.datagram.ends_with(std::string("\x7f\0\0\1", 4)));
  EXPECT_EQ(answer.datagram[3] & 0x0f, 0);
}

TEST(NameServer, HasNoIpv6AddressForThem) {
  const auto answer = answer_name_query(query_for("a.dsql.us-east-1.on.aws", 28), "us-east-1");
  EXPECT_TRUE(answer.known);
  EXPECT_EQ(answer.datagram[7], 0);
  EXPECT_EQ(answer.datagram[3] & 0x0f, 0);
}

TEST(NameServer, KnowsNoOtherName) {
  for (const char* name : {"example.com", "dsql.us-east-1.on.aws", "a.dsql.eu-west-1.on.aws",
                           "a.dsql.us-east-1.on.aws.example.com"}) {
    const auto answer = answer_name_query(query_for(name), "us-east-1");
    EXPECT_FALSE(answer.known) << name;
    EXPECT_EQ(answer.datagram[3] & 0x0f, 3) << name;
    EXPECT_EQ(answer.name, name);
  }
}

TEST(NameServer, SaysNothingToWhatIsNoQuery) {
  EXPECT_TRUE(answer_name_query("", "r").datagram.empty());
  EXPECT_TRUE(answer_name_query(std::string(12, '\0'), "r").datagram.empty());
  const std::string good = query_for("a.b");
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_TRUE(answer_name_query(good.substr(0, n), "r").datagram.empty()) << n;
  }
  std::mt19937 random(3);
  for (int round = 0; round < 5000; ++round) {
    std::string bytes = good;
    bytes[random() % bytes.size()] = static_cast<char>(random());
    answer_name_query(bytes, "us-east-1");
  }
}

}  // namespace
}  // namespace zorya::function_host
