#include "function_kit/runtime.h"

#include "function_kit/credentials.h"
#include "function_kit/retry.h"
#include "function_kit/scripted_server.h"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>

namespace function_kit {
namespace {

using namespace std::chrono_literals;
using Replies = std::vector<std::string>;

const std::string next_headers =
    "Lambda-Runtime-Aws-Request-Id: id-1\r\nLambda-Runtime-Deadline-Ms: 4102444800000\r\n"
    "Lambda-Runtime-Invoked-Function-Arn: arn:f:live\r\nLambda-Runtime-Trace-Id: Root=1-a\r\n"
    "Content-Type: application/json\r\n";
const std::string taken = ScriptedServer::reply(202, R"({"status":"OK"})");

std::string next(const std::string& event, const std::string& more = "") {
  return ScriptedServer::reply(200, event, next_headers + more);
}

std::string body_of(const std::string& request) {
  return request.substr(request.find("\r\n\r\n") + 4);
}

Handler echo() {
  return [](const std::string& event, const Context&) -> Expected<std::string> { return event; };
}

TEST(Runtime, ServesInvocationsUntilTheApiIsGone) {
  ScriptedServer api({next("1"), taken, next("2"), taken});
  EXPECT_EQ(run(api.address(), echo()), 1);
  const auto requests = api.requests();
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_TRUE(requests[0].starts_with("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"));
  EXPECT_TRUE(
      requests[1].starts_with("POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\n"));
  EXPECT_EQ(body_of(requests[3]), "2");
}

TEST(Runtime, TheContextTellsOfTheInvocation) {
  ScriptedServer api({next("1", "Lambda-Runtime-Client-Context: {}\r\n"), taken});
  Context seen;
  run(api.address(), [&](const std::string&, const Context& context) -> Expected<std::string> {
    seen = context;
    return std::string("null");
  });
  EXPECT_EQ(seen.request_id, "id-1");
  EXPECT_EQ(seen.function_arn, "arn:f:live");
  EXPECT_EQ(seen.trace_id, "Root=1-a");
  EXPECT_EQ(seen.client_context, "{}");
  EXPECT_GT(seen.remaining(), 1h);
  seen.deadline = {};
  EXPECT_EQ(seen.remaining(), 0ms);
}

TEST(Runtime, AnErrorGoesOutInTheServicesFormAndTheLoopGoesOn) {
  ScriptedServer api({next("1"), taken, next("2"), taken});
  run(api.address(), [](const std::string& event, const Context&) -> Expected<std::string> {
    if (event == "1") return Error{"Function.Odd", "it is \"odd\""};
    return event;
  });
  const auto requests = api.requests();
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_NE(requests[1].find("/invocation/id-1/error HTTP"), std::string::npos);
  EXPECT_NE(requests[1].find("Lambda-Runtime-Function-Error-Type: Function.Odd\r\n"),
            std::string::npos);
  EXPECT_EQ(body_of(requests[1]),
            R"({"errorMessage":"it is \"odd\"","errorType":"Function.Odd","stackTrace":[]})");
}

TEST(Runtime, WhatAHandlerThrowsIsAFunctionErrorOfItsType) {
  ScriptedServer api({next("1"), taken, next("2"), taken});
  run(api.address(), [](const std::string& event, const Context&) -> Expected<std::string> {
    if (event == "1") throw std::out_of_range("too far");
    throw 5;
  });
  const auto requests = api.requests();
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_NE(body_of(requests[1]).find("\"errorType\":\"std::out_of_range\""), std::string::npos);
  EXPECT_NE(requests[1].find("Error-Type: Function.UnhandledError\r\n"), std::string::npos);
  EXPECT_NE(body_of(requests[3]).find("Function.UnknownException"), std::string::npos);
}

TEST(Runtime, ARefusedSizeDoesNotEndTheLoopAndAContainerErrorDoes) {
  ScriptedServer api({next("1"), ScriptedServer::reply(413, "{}"), next("2"),
                      ScriptedServer::reply(500, "{}"), next("3"), taken});
  EXPECT_EQ(run(api.address(), echo()), 1);
  EXPECT_EQ(api.requests().size(), 4u);
}

TEST(Runtime, AnIdleConnectionThatWasClosedIsOpenedAgain) {
  ScriptedServer api({next("1"), taken, "", next("2"), taken});
  run(api.address(), echo());
  EXPECT_EQ(body_of(api.requests().back()), "2");
}

TEST(Runtime, AChunkedEventIsRead) {
  ScriptedServer api(
      {"HTTP/1.1 200 OK\r\n" + next_headers +
           "Transfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n2;x\r\n,2\r\n1\r\n]\r\n0\r\n\r\n",
       taken});
  run(api.address(), echo());
  EXPECT_EQ(body_of(api.requests()[1]), "[1,2]");
}

TEST(Runtime, AnInvocationIdIsEchoed) {
  ScriptedServer api({next("1", "Lambda-Runtime-Invocation-Id: try-1\r\n"), taken});
  run(api.address(), echo());
  EXPECT_NE(api.requests()[1].find("Lambda-Runtime-Invocation-Id: try-1\r\n"), std::string::npos);
}

TEST(Runtime, GarbageFromTheApiEndsTheProgram) {
  for (const char* garbage :
       {"x\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n"}) {
    ScriptedServer api({garbage});
    EXPECT_EQ(run(api.address(), echo()), 1) << garbage;
  }
}

TEST(Runtime, AFailedInitIsToldAsInitError) {
  ScriptedServer api({taken});
  ::setenv("AWS_LAMBDA_RUNTIME_API", api.address().c_str(), 1);
  EXPECT_EQ(run([]() -> Expected<Handler> { return Error{"Function.NoTable", "no table"}; }), 1);
  const auto requests = api.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_TRUE(requests[0].starts_with("POST /2018-06-01/runtime/init/error HTTP/1.1\r\n"));
  EXPECT_NE(requests[0].find("Error-Type: Function.NoTable\r\n"), std::string::npos);
  ::unsetenv("AWS_LAMBDA_RUNTIME_API");
}

TEST(Logger, WritesOneJsonLineWithRequestIdAndFields) {
  std::vector<std::string> lines;
  const Logger logger(LogLevel::kInfo, "id-1",
                      [&](std::string_view line) { lines.emplace_back(line); });
  logger.info("line\nbreak", {{"todo", 7}, {"level", "HACK"}});
  logger.debug("below the level");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].find('\n'), lines[0].size() - 1);
  auto record = boost::json::parse(lines[0]).as_object();
  EXPECT_EQ(record["level"].as_string(), "INFO");
  EXPECT_EQ(record["message"].as_string(), "line\nbreak");
  EXPECT_EQ(record["requestId"].as_string(), "id-1");
  EXPECT_EQ(record["todo"].as_int64(), 7);
  const std::string time(record["timestamp"].as_string());
  EXPECT_EQ(time.size(), std::string("2026-11-20T10:00:00.123Z").size());
  EXPECT_EQ(time.back(), 'Z');
}

TEST(Logger, TakesItsLevelFromTheEnvironment) {
  for (const auto& [name, level] :
       std::vector<std::pair<const char*, LogLevel>>{{"TRACE", LogLevel::kTrace},
                                                     {"debug", LogLevel::kDebug},
                                                     {"WARN", LogLevel::kWarn},
                                                     {"FATAL", LogLevel::kFatal},
                                                     {"nonsense", LogLevel::kInfo}}) {
    ::setenv("AWS_LAMBDA_LOG_LEVEL", name, 1);
    EXPECT_EQ(log_level_from_environment(), level) << name;
  }
  ::unsetenv("AWS_LAMBDA_LOG_LEVEL");
  EXPECT_EQ(log_level_from_environment(), LogLevel::kInfo);
}

class CredentialsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
          "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"}) {
      ::unsetenv(name);
    }
  }
  void TearDown() override { SetUp(); }
  static std::string answer(const std::string& id, const std::string& expiration) {
    return ScriptedServer::reply(200, R"({"AccessKeyId":")" + id +
                                          R"(","SecretAccessKey":"s","Token":"t","Expiration":")" +
                                          expiration + "\"}");
  }
};

TEST_F(CredentialsTest, VariablesGoFirst) {
  ::setenv("AWS_ACCESS_KEY_ID", "A", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "S", 1);
  ::setenv("AWS_SESSION_TOKEN", "T", 1);
  auto key = CredentialsProvider().get();
  ASSERT_TRUE(key) << key.error().message;
  EXPECT_EQ(key->session_token, "T");
  EXPECT_FALSE(key->expires);
}

TEST_F(CredentialsTest, TheEndpointIsAskedWithItsTokenAndItsAnswerKept) {
  ScriptedServer endpoint({answer("A", "2099-01-01T00:00:00Z")});
  ::setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI",
           ("http://" + endpoint.address() + "/2021-04-23/credentials").c_str(), 1);
  ::setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token-1", 1);
  CredentialsProvider provider;
  for (int i = 0; i < 2; ++i) {
    auto key = provider.get();
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(key->access_key_id, "A");
    EXPECT_EQ(key->session_token, "t");
  }
  ASSERT_EQ(endpoint.requests().size(), 1u);
  EXPECT_TRUE(endpoint.requests()[0].starts_with("GET /2021-04-23/credentials HTTP/1.1\r\n"));
  EXPECT_NE(endpoint.requests()[0].find("Authorization: token-1\r\n"), std::string::npos);
}

TEST_F(CredentialsTest, WhatExpiresIsFetchedAgain) {
  ScriptedServer endpoint(
      {answer("A", "2020-01-01T00:00:00Z"), "", answer("B", "2099-01-01T00:00:00Z")});
  ::setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", ("http://" + endpoint.address() + "/c").c_str(),
           1);
  CredentialsProvider provider;
  EXPECT_EQ(provider.get()->access_key_id, "A");
  EXPECT_FALSE(provider.get()) << "an endpoint that closes is an error";
  EXPECT_EQ(provider.get()->access_key_id, "B");
}

TEST_F(CredentialsTest, WhatIsWrongIsSaid) {
  EXPECT_NE(CredentialsProvider().get().error().message.find("neither"), std::string::npos);
  for (const char* uri :
       {"https://127.0.0.1/", "http://example.com/", "http://10.0.0.1:80/x", "x"}) {
    ::setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri, 1);
    EXPECT_FALSE(CredentialsProvider().get()) << uri;
  }
  for (const std::string& reply :
       Replies{ScriptedServer::reply(404, "no"), ScriptedServer::reply(200, "[]"),
               ScriptedServer::reply(200, "{}"), answer("A", "tomorrow")}) {
    ScriptedServer endpoint({reply});
    ::setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", ("http://" + endpoint.address()).c_str(), 1);
    EXPECT_FALSE(CredentialsProvider().get()) << reply;
  }
}

Expected<int> fails(int& calls, int times, const Error& error) {
  return ++calls <= times ? Expected<int>(error) : Expected<int>(calls);
}

TEST(Retry, AConflictIsRunAgainWithGrowingBoundedWaits) {
  std::vector<std::chrono::microseconds> waits;
  RetryPolicy policy;
  policy.wait = [&](std::chrono::microseconds wait) { waits.push_back(wait); };
  int calls = 0;
  auto result = retry(policy, [&] { return fails(calls, 7, {"Dsql.Error", "(OC000)", "40001"}); });
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, 8);
  ASSERT_EQ(waits.size(), 7u);
  for (std::size_t i = 0; i < waits.size(); ++i) {
    EXPECT_LE(waits[i], std::min<std::chrono::microseconds>(500ms, 10ms * (1 << i))) << i;
  }
}

TEST(Retry, JitterMakesWaitsDiffer) {
  RetryPolicy policy;
  std::vector<std::int64_t> seen;
  seen.reserve(20);
  for (int i = 0; i < 20; ++i) seen.push_back(backoff(policy, 6).count());
  std::sort(seen.begin(), seen.end());
  EXPECT_GT(std::unique(seen.begin(), seen.end()) - seen.begin(), 10);
}

TEST(Retry, AttemptsEnd) {
  RetryPolicy policy{.attempts = 3, .wait = [](std::chrono::microseconds) {}};
  int calls = 0;
  auto result = retry(policy, [&] { return fails(calls, 99, {"Dsql.Error", "", "40001"}); });
  EXPECT_FALSE(result);
  EXPECT_EQ(calls, 3);
}

TEST(Retry, OtherErrorsAreNotRunAgainAndLostConnectionsOnlyIfAskedFor) {
  RetryPolicy policy{.wait = [](std::chrono::microseconds) {}};
  int calls = 0;
  EXPECT_FALSE(retry(policy, [&] { return fails(calls, 1, {"Dsql.Error", "", "23505"}); }));
  EXPECT_EQ(calls, 1);
  const Error lost{"Dsql.Error", "", "", true};
  calls = 0;
  EXPECT_FALSE(retry(policy, [&] { return fails(calls, 1, lost); }));
  policy.lost_connection = true;
  calls = 0;
  EXPECT_TRUE(retry(policy, [&] { return fails(calls, 1, lost); }));
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace function_kit
