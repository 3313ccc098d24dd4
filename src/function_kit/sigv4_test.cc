#include "function_kit/sigv4.h"

#include <gtest/gtest.h>

namespace function_kit {
namespace {

using std::chrono::sys_days;
using namespace std::chrono_literals;

const std::string cluster_endpoint = "4zzzzzzzzzzzzzzzzzzzzzzzz4.dsql.us-east-1.on.aws";
const Credentials example_key{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};

TEST(Sigv4, AgreesWithThePublishedExampleOfAPresignedRequest) {
  // Amazon S3 API reference, "Authenticating requests: using query parameters".
  PresignRequest request;
  request.host = "examplebucket.s3.amazonaws.com";
  request.path = "/test.txt";
  request.service = "s3";
  request.region = "us-east-1";
  request.payload_hash = "UNSIGNED-PAYLOAD";
  request.expires = 86400s;
  request.time = sys_days(2013y / 5 / 24);
  const std::string url =
      presign(request, {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""});
  EXPECT_TRUE(url.ends_with(
      "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"))
      << url;
}

TEST(Sigv4, ADsqlTokenIsThatOfTheSdk) {
  // Made by boto3 1.44 (generate_db_connect_admin_auth_token) at 2026-11-01T00:00:00Z.
  EXPECT_EQ(
      dsql_token(cluster_endpoint, "us-east-1", "admin", example_key, sys_days(2026y / 11 / 1)),
      cluster_endpoint +
          "/?Action=DbConnectAdmin&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="
          "AKIDEXAMPLE%2F20261101%2Fus-east-1%2Fdsql%2Faws4_request&X-Amz-Date="
          "20261101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature="
          "bb880a845a266b786077993559c4a0fbb59a3e0468d2c453b738c2df7a31e0fe");
}

TEST(Sigv4, ASessionTokenIsSignedAndOtherUsersConnect) {
  Credentials key = example_key;
  key.session_token = "IQoJb3JpZ2luX2VjEXAMPLE//+=";
  const std::string token =
      dsql_token(cluster_endpoint, "us-east-1", "app", key, sys_days(2026y / 11 / 1));
  EXPECT_NE(token.find("Action=DbConnect&"), std::string::npos);
  EXPECT_NE(token.find("X-Amz-Security-Token=IQoJb3JpZ2luX2VjEXAMPLE%2F%2F%2B%3D&"),
            std::string::npos);
  EXPECT_TRUE(token.ends_with("5ba8607320abcc27c3f25f7e8b8ecdc716eb88c93e8f4163058998c8efe9c5fd"))
      << token;
}

}  // namespace
}  // namespace function_kit
