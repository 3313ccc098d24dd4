#include "gateway/proxy_response.h"

#include "base/random.h"

#include <gtest/gtest.h>

namespace zorya::gateway {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

base::Result<ProxyResponse> read(std::string_view payload, std::vector<std::string> types = {},
                                 std::string_view accept = {}) {
  return read_proxy_response(payload, types, accept);
}

TEST(ProxyResponse, AWholeOneIsRead) {
  const auto response = read(
      R"({"statusCode":201,"headers":{"X-A":"1"},"multiValueHeaders":{"Set-Cookie":["a=1","b=2"]},)"
      R"("body":"{\"id\":1}","isBase64Encoded":false})");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 201);
  EXPECT_EQ(response->body(), "{\"id\":1}");
  EXPECT_EQ(response->headers, (Headers{{"Set-Cookie", "a=1"},
                                        {"Set-Cookie", "b=2"},
                                        {"X-A", "1"},
                                        {"Content-Type", "application/json"}}));
}

TEST(ProxyResponse, NoMemberIsNeededButOne) {
  for (const std::string_view payload :
       {R"({"statusCode":200})", R"({"headers":{}})", R"({"headers":null})", R"({"body":null})",
        R"({"statusCode":"200"})", R"({"statusCode":null})", R"({"isBase64Encoded":null})"}) {
    const auto response = read(payload);
    ASSERT_TRUE(response) << payload;
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body(), "");
    EXPECT_EQ(response->headers, (Headers{{"Content-Type", "application/json"}}));
  }
}

TEST(ProxyResponse, WhatIsMalformedIsRefused) {
  for (const std::string_view payload : {"",
                                         "null",
                                         "{}",
                                         "[]",
                                         "\"text\"",
                                         "42",
                                         "{",
                                         R"({"statusCode":"test"})",
                                         R"({"statusCode":""})",
                                         R"({"statusCode":"200x"})",
                                         R"({"statusCode":200.5})",
                                         R"({"statusCode":true})",
                                         R"({"statusCode":99})",
                                         R"({"statusCode":100})",
                                         R"({"statusCode":600})",
                                         R"({"statusCode":-1})",
                                         R"({"statusCode":99999999999999999999})",
                                         R"({"statusCode":200,"extra":1})",
                                         R"({"errorMessage":"x"})",
                                         R"({"headers":[]})",
                                         R"({"headers":{"a":1}})",
                                         R"({"headers":{"a":null}})",
                                         R"({"headers":{"a":["b"]}})",
                                         R"({"headers":{"a b":"c"}})",
                                         R"({"headers":{"":"c"}})",
                                         R"({"headers":{"a":"b\r\nSet-Cookie: x"}})",
                                         R"({"headers":{"a\r\nb":"c"}})",
                                         R"({"multiValueHeaders":{"a":"b"}})",
                                         R"({"multiValueHeaders":{"a":[1]}})",
                                         R"({"multiValueHeaders":{"a":["b\n"]}})",
                                         R"({"multiValueHeaders":[]})",
                                         R"({"statusCode":200,"body":{}})",
                                         R"({"statusCode":200,"body":1})",
                                         R"({"statusCode":200,"isBase64Encoded":"true"})"}) {
    const auto response = read(payload);
    ASSERT_FALSE(response) << payload;
    EXPECT_EQ(response.error().code, base::Code::kInvalidArgument) << payload;
  }
}

TEST(ProxyResponse, BooleansAreHeaderValues) {
  const auto response = read(R"({"headers":{"a":true},"multiValueHeaders":{"b":[false]}})");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->headers[0], (std::pair<std::string, std::string>("b", "false")));
  EXPECT_EQ(response->headers[1], (std::pair<std::string, std::string>("a", "true")));
}

TEST(ProxyResponse, BothMapsAreMerged) {
  const auto response = read(
      R"({"headers":{"x-a":"2","X-B":"same"},"multiValueHeaders":{"X-A":["0","1"],"x-b":["same"]}})");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->headers, (Headers{{"X-A", "0"},
                                        {"X-A", "1"},
                                        {"x-b", "same"},
                                        {"X-A", "2"},
                                        {"Content-Type", "application/json"}}));
}

TEST(ProxyResponse, TheFunctionsTypeCounts) {
  EXPECT_EQ(read(R"({"headers":{"content-type":"text/html"}})")->headers.size(), 1u);
  EXPECT_EQ(read(R"({"multiValueHeaders":{"CONTENT-TYPE":["text/html"]}})")->headers.size(), 1u);
}

TEST(ProxyResponse, HeadersOfTheConnectionAreRenamedOrDropped) {
  const auto response = read(
      R"({"headers":{"connection":"close","Content-Length":"5","Date":"x","Server":"x",)"
      R"("WWW-Authenticate":"Basic","Transfer-Encoding":"chunked","Upgrade":"x","Trailer":"x",)"
      R"("Host":"x","TE":"x","Expect":"x","Proxy-Authenticate":"x","Content-Type":"a/b"}})");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->headers, (Headers{{"x-amzn-Remapped-connection", "close"},
                                        {"x-amzn-Remapped-Content-Length", "5"},
                                        {"x-amzn-Remapped-Date", "x"},
                                        {"x-amzn-Remapped-Server", "x"},
                                        {"x-amzn-Remapped-WWW-Authenticate", "Basic"},
                                        {"Content-Type", "a/b"}}));
}

TEST(ProxyResponse, BinaryIsDecodedOnlyWhereTheClientAsksForIt) {
  constexpr std::string_view kPayload = R"({"body":"/wE=","isBase64Encoded":true})";
  EXPECT_EQ(read(kPayload)->body(), "/wE=");
  EXPECT_EQ(read(kPayload, {"image/*"}, "text/html, image/png")->body(), "/wE=");
  EXPECT_EQ(read(kPayload, {"image/*"}, "image/png;q=1, text/html")->body(), "\xff\x01");
  EXPECT_EQ(read(kPayload, {"*/*"}, "")->body(), "\xff\x01");
  const auto bad = read(R"({"body":"!!","isBase64Encoded":true})", {"*/*"});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, base::Code::kInternal) << "the service's 500";
}

TEST(ProxyResponse, TheBodyStaysWhereverTheObjectGoes) {
  for (const std::string& body : {std::string("x"), std::string(100000, 'y')}) {
    auto response = read(R"({"statusCode":200,"body":")" + body + "\"}");
    ASSERT_TRUE(response);
    const ProxyResponse moved = std::move(response).value();
    EXPECT_EQ(moved.body(), body);
  }
}

TEST(ProxyResponse, NoBytesHurt) {
  const std::string good =
      R"({"statusCode":201,"headers":{"X-A":"1"},"multiValueHeaders":{"B":["a=1"]},"body":"x"})";
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(read(good.substr(0, size)));
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    const std::uint64_t random = base::random_u64();
    bad[random % bad.size()] = static_cast<char>(random >> 32);
    bad[(random >> 16) % bad.size()] = static_cast<char>(random >> 40);
    [[maybe_unused]] const auto result = read(bad);
  }
  EXPECT_FALSE(read(std::string(100000, '[')));
}

}  // namespace
}  // namespace zorya::gateway
