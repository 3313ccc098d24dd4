#include "gateway/exchange.h"

#include <gtest/gtest.h>

namespace zorya::gateway {
namespace {

using function_host::InvokeOutcome;
using function_host::InvokeResult;

const auto kNow = std::chrono::system_clock::from_time_t(1773342238);

class ExchangeTest : public testing::Test {
 protected:
  ExchangeTest() {
    template_engine::RestApi api;
    api.logical_id = "ServerlessRestApi";
    api.id = "abcdefghij";
    api.tracing_enabled = true;
    api.routes.push_back({"ANY", "/{proxy+}", "F"});
    table_ = std::make_shared<RouteTable>(std::vector{api});
    incoming_.method = "GET";
    incoming_.path = "/x";
    incoming_.authority = "h";
    incoming_.source_ip = "127.0.0.1";
  }

  Response answer(const InvokeResult& result) {
    Exchange exchange(settings_, incoming_, kNow);
    EXPECT_TRUE(exchange.begin(table_, kNow));
    return exchange.finish(result);
  }
  static InvokeResult result_of(InvokeOutcome outcome, std::string payload = {},
                                std::string reason = {}) {
    InvokeResult result;
    result.outcome = outcome;
    result.payload = std::move(payload);
    result.reason = std::move(reason);
    return result;
  }
  static bool has(const Response& response, std::string_view line) {
    return response.fields.find(std::string(line) + "\r\n") != std::string::npos;
  }

  const Settings settings_{"000000000000", "us-east-1"};
  std::shared_ptr<const RouteTable> table_;
  Incoming incoming_;
};

TEST_F(ExchangeTest, TheFunctionsAnswerIsTheResponse) {
  const Response response = answer(
      result_of(InvokeOutcome::kOk, R"({"statusCode":201,"headers":{"X-A":"b"},"body":"c"})"));
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.body(), "c");
  EXPECT_TRUE(has(response, "X-A: b"));
  EXPECT_TRUE(has(response, "Content-Type: application/json"));
  EXPECT_NE(response.fields.find("x-amzn-RequestId: "), std::string::npos);
  EXPECT_NE(response.fields.find("x-amz-apigw-id: "), std::string::npos);
  EXPECT_NE(response.fields.find("X-Amzn-Trace-Id: Root=1-"), std::string::npos);
  EXPECT_EQ(response.fields.find("x-amzn-ErrorType"), std::string::npos);
  EXPECT_EQ(response.fields.find("x-zorya-reason"), std::string::npos);
}

TEST_F(ExchangeTest, EveryFailureOfTheFunctionIsTheServices502) {
  const std::pair<InvokeResult, std::string_view> cases[] = {
      {result_of(InvokeOutcome::kFunctionError, R"({"errorType":"ValueError","errorMessage":"s"})"),
       "x-zorya-reason: function F: it failed (ValueError)"},
      {result_of(InvokeOutcome::kFunctionError, "nonsense"),
       "x-zorya-reason: function F: it failed"},
      {result_of(InvokeOutcome::kFunctionError, R"({"errorType":"E"})", "killed"),
       "x-zorya-reason: function F: killed (E)"},
      {result_of(InvokeOutcome::kFunctionError, "{}", "it was killed\r\nX: y"),
       "x-zorya-reason: function F: it was killed? X: y"},
      {result_of(InvokeOutcome::kThrottled),
       "x-zorya-reason: function F: it is throttled: no environment is free"},
      {result_of(InvokeOutcome::kNotFound), "x-zorya-reason: function F: it does not exist"},
      {result_of(InvokeOutcome::kNotReady), "x-zorya-reason: function F: it has no active version"},
      {result_of(InvokeOutcome::kOk, "{}"),
       "x-zorya-reason: malformed Lambda proxy response: an empty object"}};
  for (const auto& [result, reason] : cases) {
    const Response response = answer(result);
    EXPECT_EQ(response.status, 502);
    EXPECT_EQ(response.body(), R"({"message": "Internal server error"})");
    EXPECT_EQ(response.body().size(), 36u);
    EXPECT_TRUE(has(response, "x-amzn-ErrorType: InternalServerErrorException"));
    EXPECT_TRUE(has(response, reason)) << response.fields;
    EXPECT_FALSE(response.reason.empty());
  }
}

TEST_F(ExchangeTest, AnEventOverTheInvokeLimitIs413) {
  const Response response = answer(result_of(InvokeOutcome::kTooLarge));
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(response.body(), R"({"message":"Request Too Long"})");
  EXPECT_TRUE(has(response, "x-amzn-ErrorType: RequestTooLargeException"));
}

TEST_F(ExchangeTest, NoRouteIsAMissingToken) {
  incoming_.method = "TRACE";
  Exchange exchange(settings_, incoming_, kNow);
  ASSERT_FALSE(exchange.begin(table_, kNow));
  const Response response = exchange.refuse(exchange.answer(), "");
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(response.body(), R"({"message":"Missing Authentication Token"})");
  EXPECT_TRUE(has(response, "x-amzn-ErrorType: MissingAuthenticationTokenException"));
  EXPECT_EQ(response.fields.find("X-Amzn-Trace-Id"), std::string::npos)
      << "only where a function is behind";
  EXPECT_FALSE(exchange.segment(response, kNow));
}

TEST_F(ExchangeTest, AUriLongerThanAMethodArnIsRefused) {
  const std::string path = "/" + std::string(1600, 'a');
  incoming_.path = path;
  Exchange exchange(settings_, incoming_, kNow);
  ASSERT_FALSE(exchange.begin(table_, kNow));
  EXPECT_EQ(exchange.answer().status, 414);
}

TEST_F(ExchangeTest, TheInvokeCarriesTheTraceThatTheClientSees) {
  Exchange exchange(settings_, incoming_, kNow);
  const auto request = exchange.begin(table_, kNow);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->function, "F");
  const Response response =
      exchange.finish(result_of(InvokeOutcome::kOk, R"({"statusCode":200,"body":"12345"})"));
  EXPECT_TRUE(has(response, "X-Amzn-Trace-Id: " + request->trace_header));
  const auto segment = exchange.segment(response, kNow + std::chrono::seconds(1));
  ASSERT_TRUE(segment);
  EXPECT_NE(segment->find(R"("name":"ServerlessRestApi/Prod")"), std::string::npos);
  EXPECT_NE(segment->find(R"("content_length":5)"), std::string::npos);
}

}  // namespace
}  // namespace zorya::gateway
