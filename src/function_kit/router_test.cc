#include "function_kit/router.h"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace function_kit {
namespace {

Router::Route say(const std::string& what) {
  return [what](const HttpRequest& request, const Context&) {
    HttpResponse response{200, {}, what};
    for (const auto& [name, value] : request.path_parameters) {
      response.body.append(" ").append(name).append("=").append(value);
    }
    return response;
  };
}

std::string ask(const Router& router, const std::string& method, const std::string& path) {
  HttpRequest request;
  request.method = method;
  request.path = path;
  const HttpResponse response = router.route(request, {});
  return std::to_string(response.status) + " " + response.body;
}

Router todos() {
  Router router;
  router.on("GET", "/todos/{id}", say("get"))
      .on("GET", "/todos/count", say("count"))
      .on("GET", "/todos", say("list"))
      .on("POST", "/todos", say("create"))
      .on("GET", "/{a}/x/{b}", say("two"));
  return router;
}

TEST(Router, PicksByMethodAndPath) {
  EXPECT_EQ(ask(todos(), "GET", "/todos"), "200 list");
  EXPECT_EQ(ask(todos(), "POST", "/todos"), "200 create");
  EXPECT_EQ(ask(todos(), "GET", "/todos/7"), "200 get id=7");
  EXPECT_EQ(ask(todos(), "GET", "/q/x/7"), "200 two a=q b=7");
}

TEST(Router, FixedSegmentsGoBeforeParameters) {
  EXPECT_EQ(ask(todos(), "GET", "/todos/count"), "200 count");
}

TEST(Router, ATrailingSlashDoesNotCount) {
  EXPECT_EQ(ask(todos(), "GET", "/todos/"), "200 list");
  EXPECT_EQ(ask(todos(), "GET", "/todos/7/"), "200 get id=7");
}

TEST(Router, ParametersArePercentDecodedOnceAndHoldNoSlash) {
  EXPECT_EQ(ask(todos(), "GET", "/todos/a%2Fb%20c%25"), "200 get id=a/b c%");
  EXPECT_EQ(ask(todos(), "GET", "/todos/%zz%4"), "200 get id=%zz%4");
  EXPECT_EQ(ask(todos(), "GET", "/todos/a/b"),
            "404 {\"statusCode\":404,\"message\":\"Not found\"}");
}

TEST(Router, AnUnknownPathIs404AndAnUnknownMethod405WithAllow) {
  EXPECT_EQ(ask(todos(), "GET", "/"), "404 {\"statusCode\":404,\"message\":\"Not found\"}");
  HttpRequest request;
  request.method = "DELETE";
  request.path = "/todos";
  const HttpResponse response = todos().route(request, {});
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.headers.at("Allow"), "GET, POST");
}

TEST(HttpEvent, IsReadWhole) {
  auto request = parse_http_event(R"({"httpMethod":"POST","path":"/todos","headers":{"X-Ab":"1"},
    "queryStringParameters":{"a":"b c"},"body":"{\"t\":\"é\"}","isBase64Encoded":false,
    "requestContext":{"requestId":"r-1"}})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->method, "POST");
  EXPECT_EQ(request->headers.at("x-ab"), "1");
  EXPECT_EQ(request->query.at("a"), "b c");
  EXPECT_EQ(request->request_id, "r-1");
  EXPECT_EQ(request->json()->at("t").as_string(), "é");
}

TEST(HttpEvent, NullsAreAsIfAbsent) {
  auto request = parse_http_event(
      R"({"httpMethod":"GET","path":"/","headers":null,"queryStringParameters":null,"body":null})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_TRUE(request->headers.empty());
  EXPECT_EQ(request->body, "");
  EXPECT_FALSE(request->json());
}

TEST(HttpEvent, Base64IsUndone) {
  for (const auto& [coded, plain] : std::vector<std::pair<std::string, std::string>>{
           {"", ""}, {"AP8=", std::string("\0\xff", 2)}, {"YQ==", "a"}, {"YWJj", "abc"}}) {
    auto request = parse_http_event(
        R"({"httpMethod":"GET","path":"/","isBase64Encoded":true,"body":")" + coded + "\"}");
    ASSERT_TRUE(request) << request.error().message;
    EXPECT_EQ(request->body, plain);
  }
}

TEST(HttpEvent, WhatIsNoEventIsRefusedByName) {
  for (const char* event :
       {"", "[]", "5", "{", "{}", R"({"httpMethod":5,"path":"/"})", R"({"httpMethod":"GET"})",
        R"({"httpMethod":"GET","path":"/","headers":[]})",
        R"({"httpMethod":"GET","path":"/","headers":{"a":1}})",
        R"({"httpMethod":"GET","path":"/","body":{}})",
        R"({"httpMethod":"GET","path":"/","isBase64Encoded":true,"body":"a"})",
        R"({"httpMethod":"GET","path":"/","isBase64Encoded":true,"body":"a*=="})"}) {
    auto request = parse_http_event(event);
    ASSERT_FALSE(request) << event;
    EXPECT_EQ(request.error().type, "Function.BadEvent");
  }
}

TEST(HttpEvent, DeepNestingIsRefusedAndNotFollowed) {
  EXPECT_FALSE(parse_http_event(std::string(1'000'000, '[')));
}

TEST(HttpEvent, ATextAnswerIsTextAndABinaryOneBase64) {
  auto answer = boost::json::parse(to_event_answer({201, {{"A", "b"}}, "ä€🥚"})).as_object();
  EXPECT_EQ(answer["statusCode"].as_int64(), 201);
  EXPECT_EQ(answer["headers"].as_object()["A"].as_string(), "b");
  EXPECT_EQ(answer["body"].as_string(), "ä€🥚");
  EXPECT_FALSE(answer["isBase64Encoded"].as_bool());
  for (const std::string bytes :
       {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82"}) {
    answer = boost::json::parse(to_event_answer({200, {}, bytes})).as_object();
    EXPECT_TRUE(answer["isBase64Encoded"].as_bool());
  }
  EXPECT_EQ(boost::json::parse(to_event_answer({200, {}, "\xff"})).as_object()["body"].as_string(),
            "/w==");
}

TEST(Router, AnEventThatIsNoneIsAFunctionError) {
  auto answer = todos()("{}", {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().type, "Function.BadEvent");
}

}  // namespace
}  // namespace function_kit
