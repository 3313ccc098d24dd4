#include "router/login.h"

#include <gtest/gtest.h>

namespace zorya::router {
namespace {

using pgwire::ErrorReport;

constexpr std::string_view kId = "abcdefghijklmnopqrstuvwx01";

std::variant<Login, ErrorReport> check(
    std::vector<std::pair<std::string, std::string>> parameters) {
  pgwire::StartupPacket packet;
  packet.parameters = std::move(parameters);
  return check_startup(packet);
}

std::string refusal(std::vector<std::pair<std::string, std::string>> parameters) {
  const auto result = check(std::move(parameters));
  const auto* const report = std::get_if<ErrorReport>(&result);
  if (report == nullptr) return "taken";
  EXPECT_EQ(report->severity, "FATAL");
  return report->sqlstate + " " + report->message;
}

TEST(Login, TakesWhatASessionMaySet) {
  const auto result = check({{"user", "admin"},
                             {"database", "postgres"},
                             {"application_name", "psql"},
                             {"DateStyle", "ISO"},
                             {"options", "-c search_path=a\\ b -c amzn-cluster-id=xyz"},
                             {"_pq_.compression", "on"}});
  const auto* const login = std::get_if<Login>(&result);
  ASSERT_NE(login, nullptr);
  EXPECT_EQ(login->role, "admin");
  EXPECT_EQ(login->cluster_option, "xyz");
  EXPECT_EQ(login->unknown_protocol_options, std::vector<std::string>{"_pq_.compression"});
  EXPECT_EQ(backend_parameters(*login),
            (std::vector<std::pair<std::string, std::string>>{{"user", "admin"},
                                                              {"database", "postgres"},
                                                              {"application_name", "psql"},
                                                              {"DateStyle", "ISO"},
                                                              {"search_path", "a b"}}));
}

TEST(Login, RefusesOtherParametersInTheServicesWords) {
  EXPECT_EQ(refusal({{"user", "admin"}, {"lc_numeric", "C"}}),
            "0A000 setting configuration parameter \"lc_numeric\" not supported");
  EXPECT_EQ(refusal({{"user", "admin"}, {"replication", "database"}}),
            "0A000 setting configuration parameter \"replication\" not supported");
  EXPECT_EQ(refusal({{"user", "admin"}, {"options", "-c statement_timeout=5"}}),
            "0A000 setting configuration parameter \"statement_timeout\" not supported");
  EXPECT_EQ(refusal({{"user", "admin"}, {"options", "-d 5"}}),
            "42601 invalid command-line argument for server process: -d");
  EXPECT_EQ(refusal({{"database", "postgres"}}),
            "28000 no PostgreSQL user name specified in startup packet");
}

TEST(Login, TheDatabaseIsTheRolesIfNoneIsNamed) {
  const auto result = check({{"user", "admin"}});
  EXPECT_EQ(std::get<Login>(result).database, "admin");
}

TEST(Login, KnowsAClustersEndpoint) {
  const std::string endpoint = endpoint_of(kId, "us-east-1");
  EXPECT_EQ(endpoint, "abcdefghijklmnopqrstuvwx01.dsql.us-east-1.on.aws");
  EXPECT_EQ(cluster_id_of(endpoint, "us-east-1"), kId);
  for (const auto& name :
       {std::string(), std::string("localhost"), endpoint + ".", "x" + endpoint, endpoint.substr(1),
        endpoint_of("ABCDEFGHIJKLMNOPQRSTUVWX01", "us-east-1"), endpoint_of(kId, "eu-west-1")}) {
    EXPECT_FALSE(cluster_id_of(name, "us-east-1")) << name;
  }
  EXPECT_EQ(arn_of("c", "r", "a"), "arn:aws:dsql:r:a:cluster/c");
}

TEST(Login, SessionIdsAre26Base32CharactersAndDiffer) {
  const std::string id = make_session_id();
  EXPECT_EQ(id.size(), 26u);
  EXPECT_EQ(id.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos);
  EXPECT_NE(id, make_session_id());
}

}  // namespace
}  // namespace zorya::router
