#include "gateway/event.h"

#include "base/files.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <cstdlib>

namespace zorya::gateway {
namespace {

namespace json = boost::json;
using http::FieldView;

class EventTest : public testing::Test {
 protected:
  EventTest() {
    template_engine::RestApi api;
    api.logical_id = "ServerlessRestApi";
    api.id = "abcdefghij";
    for (const char* path : {"/", "/todos", "/todos/{id}", "/files/{proxy+}"}) {
      api.routes.push_back({"ANY", path, "F"});
    }
    apis_.push_back(api);
    context_.account = "000000000000";
    context_.ids = {"11111111-2222-4333-8444-555555555555", "JKJaXmPLvHcESHA="};
    context_.trace_header = "Root=1-5e66d96f-7491f09abcd79d18acf3d050";
    context_.time =
        std::chrono::system_clock::from_time_t(1773342238) + std::chrono::milliseconds(123);
    incoming_.method = "GET";
    incoming_.authority = "api.example.org:3000";
    incoming_.path = "/todos";
    incoming_.source_ip = "192.0.2.7";
    incoming_.port = 3000;
  }

  std::string text() {
    incoming_.fields = fields_;
    const RouteTable table(apis_);
    const auto match = table.match(effective_method(incoming_), incoming_.path);
    EXPECT_TRUE(match);
    return match ? make_event(incoming_, *match, context_) : "{}";
  }
  json::object event() {
    json::error_code error;
    const json::value value = json::parse(text(), error);
    EXPECT_FALSE(error) << error.message();
    return value.as_object();
  }
  json::value at(std::string_view pointer) {
    const json::value value = event();
    json::error_code error;
    const json::value* found = value.find_pointer(pointer, error);
    EXPECT_NE(found, nullptr) << pointer;
    return found == nullptr ? json::value("absent") : *found;
  }

  std::vector<template_engine::RestApi> apis_;
  std::vector<FieldView> fields_;
  Incoming incoming_;
  EventContext context_;
};

/// Compares with a file of testdata/; ZORYA_UPDATE_GOLDEN=1 writes it anew.
void expect_golden(const std::string& name, const std::string& text) {
  const std::filesystem::path path = std::filesystem::path(ZORYA_TESTDATA) / name;
  if (std::getenv("ZORYA_UPDATE_GOLDEN") != nullptr) {
    ASSERT_TRUE(base::write_file_atomically(path, text + "\n", 0644));
  }
  const auto golden = base::read_file(path);
  ASSERT_TRUE(golden) << to_string(golden.error());
  EXPECT_EQ(text + "\n", *golden) << name;
}

TEST_F(EventTest, AWholeEventAsOnACustomDomain) {
  incoming_.path = "/todos/a%2Fb";
  incoming_.query = "done=true&tag=x&tag=y+z";
  incoming_.method = "PUT";
  incoming_.body = R"({"title":"milk"})";
  fields_ = {{"Host", "api.example.org:3000"},
             {"accept", "*/*"},
             {"user-agent", "curl/8.1"},
             {"X-Two", "1"},
             {"x-two", "2"},
             {"Content-Type", "application/json"},
             {"Content-Length", "16"},
             {"Connection", "close"}};
  expect_golden("custom_domain_event.json", text());
}

TEST_F(EventTest, AWholeEventOfTheExecuteApiForm) {
  incoming_.path = "/Prod/todos/";
  expect_golden("execute_api_event.json", text());
}

TEST_F(EventTest, EmptyThingsAreNullNotAbsent) {
  for (const char* pointer :
       {"/queryStringParameters", "/multiValueQueryStringParameters", "/pathParameters",
        "/stageVariables", "/body", "/requestContext/identity/userAgent",
        "/requestContext/identity/accountId"}) {
    EXPECT_TRUE(at(pointer).is_null()) << pointer;
  }
  EXPECT_EQ(at("/isBase64Encoded"), json::value(false));
}

TEST_F(EventTest, PathsDifferByTheFormOfTheUrl) {
  EXPECT_EQ(at("/path"), "/todos");
  EXPECT_EQ(at("/requestContext/path"), "/todos");
  incoming_.path = "/Prod//todos/";
  EXPECT_EQ(at("/path"), "/todos/");
  EXPECT_EQ(at("/requestContext/path"), "/Prod/todos/");
  EXPECT_EQ(at("/resource"), "/todos");
  EXPECT_EQ(at("/requestContext/resourcePath"), "/todos");
}

TEST_F(EventTest, TheLastValueWinsAndAllAreThere) {
  fields_ = {{"X-A", "1"}, {"Y", ""}, {"x-a", "2"}};
  EXPECT_EQ(at("/headers/X-A"), "2");
  EXPECT_EQ(at("/multiValueHeaders/X-A"), json::value({"1", "2"}));
  EXPECT_EQ(at("/headers/Y"), "");
  incoming_.query = "a=1&b=&a=2&%C3%A4=%zz&a=3";
  EXPECT_EQ(at("/queryStringParameters/a"), "3");
  EXPECT_EQ(at("/multiValueQueryStringParameters/a"), json::value({"1", "2", "3"}));
  EXPECT_EQ(at("/queryStringParameters/b"), "");
  EXPECT_EQ(at("/queryStringParameters/\xc3\xa4"), "%zz");
}

TEST_F(EventTest, HeadersOfTheConnectionAreNotDelivered) {
  fields_ = {{"connection", "x"},
             {"CONTENT-LENGTH", "1"},
             {"Content-MD5", "x"},
             {"Expect", "x"},
             {"Max-Forwards", "1"},
             {"Proxy-Authenticate", "x"},
             {"Server", "x"},
             {"TE", "x"},
             {"Transfer-Encoding", "chunked"},
             {"Trailer", "x"},
             {"Upgrade", "x"},
             {"WWW-Authenticate", "x"},
             {"X-Forwarded-Proto", "gopher"},
             {"X-Forwarded-Port", "1"}};
  const json::object headers = event().at("headers").as_object();
  EXPECT_EQ(headers.size(), 4u);
  EXPECT_EQ(headers.at("X-Forwarded-Proto"), "http");
  EXPECT_EQ(headers.at("X-Forwarded-Port"), "3000");
  EXPECT_EQ(headers.at("X-Forwarded-For"), "192.0.2.7");
  EXPECT_EQ(headers.at("X-Amzn-Trace-Id"), "Root=1-5e66d96f-7491f09abcd79d18acf3d050");
}

TEST_F(EventTest, ForwardedForKeepsWhatCameBefore) {
  fields_ = {{"x-forwarded-for", "10.0.0.1"}, {"X-Forwarded-For", "10.0.0.2, 10.0.0.3"}};
  EXPECT_EQ(at("/headers/X-Forwarded-For"), "10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.7");
}

TEST_F(EventTest, AuthorizationIsDeliveredUnlessItIsASignature) {
  fields_ = {{"authorization", "Bearer x"}};
  EXPECT_EQ(at("/headers/Authorization"), "Bearer x");
  fields_ = {{"Authorization", "AWS4-HMAC-SHA256 Credential=…"}};
  EXPECT_FALSE(event().at("headers").as_object().contains("Authorization"));
}

TEST_F(EventTest, PathParametersStayEncoded) {
  incoming_.path = "/todos/test%2Balias@example.org";
  EXPECT_EQ(at("/pathParameters/id"), "test%2Balias@example.org");
  incoming_.path = "/files/a//b/";
  EXPECT_EQ(at("/pathParameters/proxy"), "a//b");
}

TEST_F(EventTest, TheDomainIsTheHostWithoutItsPort) {
  EXPECT_EQ(at("/requestContext/domainName"), "api.example.org");
  EXPECT_EQ(at("/requestContext/domainPrefix"), "api");
  incoming_.authority = "localhost";
  EXPECT_EQ(at("/requestContext/domainPrefix"), "localhost");
  incoming_.authority = "[::1]:3000";
  EXPECT_EQ(at("/requestContext/domainName"), "::1");
  incoming_.authority = "[";
  EXPECT_EQ(at("/requestContext/domainName"), "");
  incoming_.authority = {};
  EXPECT_EQ(at("/requestContext/domainName"), "");
}

TEST_F(EventTest, TheMethodMayBeOverridden) {
  fields_ = {{"X-HTTP-Method-Override", "PATCH"}};
  EXPECT_EQ(at("/httpMethod"), "PATCH");
  fields_ = {{"X-HTTP-Method-Override", "BREW"}};
  EXPECT_EQ(at("/httpMethod"), "GET");
}

TEST_F(EventTest, BinaryBodiesAreBase64) {
  incoming_.body = "\xff\x01";
  EXPECT_EQ(at("/body"), "\xef\xbf\xbd\x01") << "no binary type: replaced";
  apis_[0].binary_media_types = {"image/*"};
  fields_ = {{"content-type", "image/png; x=y"}};
  EXPECT_EQ(at("/body"), "/wE=");
  EXPECT_EQ(at("/isBase64Encoded"), json::value(true));
  fields_ = {{"content-type", "text/plain"}};
  EXPECT_EQ(at("/isBase64Encoded"), json::value(false));
  apis_[0].binary_media_types = {"*/*"};
  fields_ = {};
  EXPECT_EQ(at("/isBase64Encoded"), json::value(true));
  incoming_.body = {};
  EXPECT_TRUE(at("/body").is_null());
  EXPECT_EQ(at("/isBase64Encoded"), json::value(false));
}

TEST_F(EventTest, StageVariablesAreThere) {
  apis_[0].stage_variables = {{"a", "1"}, {"b", "\""}};
  EXPECT_EQ(at("/stageVariables/b"), "\"");
}

TEST_F(EventTest, NoBytesOfARequestBreakTheJson) {
  std::string all;
  for (int i = 1; i < 256; ++i) all += static_cast<char>(i);
  incoming_.body = all;
  incoming_.query = all;
  incoming_.authority = all;
  fields_ = {{"X-All", all}, {all, "x"}};
  EXPECT_FALSE(event().empty());
}

}  // namespace
}  // namespace zorya::gateway
