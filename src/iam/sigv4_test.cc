#include "iam/sigv4.h"

#include "iam/digest.h"

#include <gtest/gtest.h>

namespace zorya::iam {
namespace {

constexpr std::string_view kEmptyHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(SigV4, SignsAwsGetVanillaExampleByHeaders) {
  const CredentialScope scope{"20150830", "us-east-1", "service"};
  SignedRequest request;
  request.headers = {{"Host", "example.amazonaws.com"}, {"X-Amz-Date", "20150830T123600Z"}};
  request.payload_hash = kEmptyHash;
  EXPECT_EQ(signature("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", scope,
                      string_to_sign("20150830T123600Z", scope, canonical_request(request))),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(SigV4, SignsAwsGetVanillaExampleByQuery) {
  const CredentialScope scope{"20150830", "us-east-1", "service"};
  SignedRequest request;
  request.query = {{"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
                   {"X-Amz-Credential", "AKIDEXAMPLE/" + to_string(scope)},
                   {"X-Amz-Date", "20150830T123600Z"},
                   {"X-Amz-SignedHeaders", "host"},
                   {"X-Amz-Expires", "3600"}};
  request.headers = {{"host", "example.amazonaws.com"}};
  request.payload_hash = kEmptyHash;
  EXPECT_EQ(signature("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", scope,
                      string_to_sign("20150830T123600Z", scope, canonical_request(request))),
            "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d");
}

TEST(SigV4, SignsAwsPresignedS3Example) {
  const CredentialScope scope{"20130524", "us-east-1", "s3"};
  SignedRequest request;
  request.path = "/test.txt";
  request.path_rule = PathRule::kAsSent;
  request.query = {{"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
                   {"X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/" + to_string(scope)},
                   {"X-Amz-Date", "20130524T000000Z"},
                   {"X-Amz-Expires", "86400"},
                   {"X-Amz-SignedHeaders", "host"}};
  request.headers = {{"host", "examplebucket.s3.amazonaws.com"}};
  request.payload_hash = "UNSIGNED-PAYLOAD";
  const std::string canonical = canonical_request(request);
  EXPECT_EQ(to_hex(sha256(canonical)),
            "3bfa292879f6447bbcda7001decf97f4a54dc650c8942174ae0a9121cf58ad04");
  EXPECT_EQ(signature("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", scope,
                      string_to_sign("20130524T000000Z", scope, canonical)),
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST(SigV4, QuerySortsByNameBeforeValueAndKeepsDuplicates) {
  SignedRequest request;
  request.query = {{"Param-3", "x"}, {"Param", "z"}, {"Param", "a b"}, {"param", ""}};
  const std::string canonical = canonical_request(request);
  EXPECT_NE(canonical.find("\nParam=a%20b&Param=z&Param-3=x&param=\n"), std::string::npos)
      << canonical;
}

TEST(SigV4, HeadersAreLowerCaseTrimmedCollapsedAndJoined) {
  SignedRequest request;
  request.headers = {{"My-Header", "  a   \"b   c\"  "}, {"my-header", "d"}, {"HOST", "h"}};
  EXPECT_NE(canonical_request(request).find("\nhost:h\nmy-header:a \"b c\",d\n\nhost;my-header\n"),
            std::string::npos);
}

TEST(SigV4, PathIsNormalisedAndEncodedAgain) {
  SignedRequest request;
  request.path = "/a/./b//../arn%3Aaws/";
  EXPECT_EQ(canonical_request(request).substr(0, 23), "GET\n/a/arn%253Aaws/\n\n\n\n");
  request.path = "";
  EXPECT_EQ(canonical_request(request).substr(0, 6), "GET\n/\n");
}

TEST(SigV4, DecodingRefusesBadEscapes) {
  EXPECT_EQ(uri_decode("a%2Fb+c"), "a/b+c");
  EXPECT_FALSE(uri_decode("a%2"));
  EXPECT_FALSE(uri_decode("%zz"));
  EXPECT_FALSE(parse_query("a=%", 10));
  EXPECT_FALSE(parse_query("a&b&c", 2));
  const auto query = parse_query("a=1=2&&b", 5);
  ASSERT_TRUE(query);
  EXPECT_EQ(*query, (NameValues{{"a", "1=2"}, {"b", ""}}));
}

TEST(SigV4, DatesAreReadStrictly) {
  const auto time = parse_date_time("20241107T173933Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(format_date_time(*time), "20241107T173933Z");
  for (const auto* bad : {"", "20241107T173933", "20240631T000000Z", "20241107t173933Z",
                          "2024110 T173933Z", "20241107T253933Z", "20241107T173933.0Z"}) {
    EXPECT_FALSE(parse_date_time(bad)) << bad;
  }
}

TEST(Digest, ComparesWholeValues) {
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
}

}  // namespace
}  // namespace zorya::iam
