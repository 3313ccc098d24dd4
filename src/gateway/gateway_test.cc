#include "gateway/gateway.h"

#include "base/log.h"
#include "base/random.h"
#include "gateway/test_client.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

namespace zorya::gateway {
namespace {

using function_host::InvokeOutcome;
using function_host::InvokeRequest;
using function_host::InvokeResult;
using std::chrono::milliseconds;
using Done = std::function<void(InvokeResult)>;

/// A function host behind its contract: answers on a thread of its own, by a function of the test.
class FakeHost final : public function_host::FunctionHost {
 public:
  using Behaviour = std::function<void(InvokeRequest, Done)>;
  FakeHost() : thread_([this] { run(); }) {}
  ~FakeHost() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  void behave(Behaviour behaviour) {
    const std::lock_guard lock(mutex_);
    behaviour_ = std::move(behaviour);
  }

  void publish(function_host::FunctionSpec,
               std::function<void(base::Result<function_host::VersionInfo>)>) override {}
  void remove(std::string, std::function<void()>) override {}
  void invoke(InvokeRequest request, Done done) override {
    {
      const std::lock_guard lock(mutex_);
      queue_.emplace_back(std::move(request), std::move(done));
    }
    wake_.notify_one();
  }
  [[nodiscard]] function_host::HostStatus status() const override { return {}; }

  static InvokeResult ok(std::string payload) {
    InvokeResult result;
    result.payload = std::move(payload);
    return result;
  }

  /// Answers with the body and the method and path that the event has, in base64-free text.
  static void echo(const InvokeRequest& request, const Done& done) {
    const boost::json::value event = boost::json::parse(request.payload);
    const boost::json::object answer{
        {"statusCode", 200},
        {"headers",
         {{"X-Seen", event.at("httpMethod").as_string()},
          {"X-Path", event.at("path").as_string()}}},
        {"body", event.at("body").is_null() ? boost::json::value("") : event.at("body")}};
    done(ok(boost::json::serialize(answer)));
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopped_ || !queue_.empty(); });
      if (queue_.empty()) return;
      auto [request, done] = std::move(queue_.front());
      queue_.pop_front();
      const Behaviour behaviour = behaviour_;
      lock.unlock();
      behaviour(std::move(request), std::move(done));
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::pair<InvokeRequest, Done>> queue_;
  Behaviour behaviour_ = echo;
  bool stopped_ = false;
  std::thread thread_;
};

class MemorySink final : public telemetry::Sink {
 public:
  void log(telemetry::LogEvent) noexcept override {}
  void segment(std::string document) noexcept override {
    const std::lock_guard lock(mutex_);
    documents_.push_back(std::move(document));
    changed_.notify_all();
  }
  std::string wait_for_one() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(10), [this] { return !documents_.empty(); });
    return documents_.empty() ? "" : documents_.front();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> documents_;
};

template_engine::RestApi api_of(std::vector<std::string> paths) {
  template_engine::RestApi api;
  api.logical_id = "ServerlessRestApi";
  api.id = "abcdefghij";
  api.tracing_enabled = true;
  for (std::string& path : paths) api.routes.push_back({"ANY", std::move(path), "F"});
  return api;
}

class GatewayTest : public testing::Test {
 protected:
  GatewayTest() { base::set_log_level(base::LogLevel::kError); }
  ~GatewayTest() override { base::set_log_level(base::LogLevel::kInfo); }

  void start(Options options = {}) {
    options.host = &host_;
    options.telemetry = &sink_;
    auto gateway = Gateway::start(std::move(options));
    ASSERT_TRUE(gateway) << to_string(gateway.error());
    gateway_ = std::move(gateway).value();
    gateway_->set_apis({api_of({"/{proxy+}", "/"})});
  }
  static Options with_limits(const std::function<void(Limits&)>& change) {
    Options options;
    change(options.limits);
    return options;
  }
  TestClient client() { return TestClient(gateway_->port()); }

  FakeHost host_;
  MemorySink sink_;
  std::unique_ptr<Gateway> gateway_;
};

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(GatewayTest, TheFunctionsAnswerReachesTheClient) {
  start();
  const auto message =
      client().ask("POST /x?q=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(message.status, 200);
  EXPECT_EQ(message.body, "hello");
  EXPECT_TRUE(message.head.starts_with("HTTP/1.1 200 OK\r\n")) << message.head;
  EXPECT_TRUE(message.has("X-Seen: POST"));
  EXPECT_TRUE(message.has("Content-Type: application/json"));
  EXPECT_TRUE(message.has("Connection: keep-alive"));
  EXPECT_NE(message.field("Date"), "absent");
  EXPECT_EQ(message.field("x-amzn-RequestId").size(), 36u);
}

TEST_F(GatewayTest, AConnectionIsKeptAndPipelinedRequestsAreAnsweredInTurn) {
  start();
  auto one = client();
  EXPECT_EQ(one.ask("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n").field("X-Path"), "/1");
  EXPECT_EQ(one.ask("\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n").field("X-Path"), "/2");
  std::string many;
  for (int i = 0; i < 50; ++i) {
    many += "POST /p" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
  }
  ASSERT_TRUE(one.send(many));
  for (int i = 0; i < 50; ++i) {
    const auto message = one.read();
    ASSERT_EQ(message.field("X-Path"), "/p" + std::to_string(i));
    ASSERT_EQ(message.body, "abc");
  }
}

TEST_F(GatewayTest, BytesThatComeOneByOneAreARequestToo) {
  start();
  auto slow = client();
  for (const char c : std::string("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok")) {
    ASSERT_TRUE(slow.send(std::string(1, c)));
  }
  EXPECT_EQ(slow.read().body, "ok");
}

TEST_F(GatewayTest, ChunkedBodiesArePutTogetherAndTrailersAreNoHeaders) {
  std::promise<std::string> seen;
  start();
  host_.behave([&](InvokeRequest request, Done done) {
    seen.set_value(request.payload);
    FakeHost::echo(request, done);
  });
  auto one = client();
  const auto message = one.ask(
      "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nAuthorization: late\r\n\r\n");
  EXPECT_EQ(message.body, "abcdefgh");
  EXPECT_EQ(seen.get_future().get().find("late"), std::string::npos);
  host_.behave(FakeHost::echo);
  EXPECT_EQ(one.ask(kGet).status, 200);
}

TEST_F(GatewayTest, HeadHasTheLengthButNoBody) {
  start();
  host_.behave([](const InvokeRequest&, const Done& done) {
    done(FakeHost::ok(R"({"statusCode":200,"body":"12345"})"));
  });
  auto one = client();
  ASSERT_TRUE(one.send("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n"));
  const auto message = one.read(TestClient::Body::kNone);
  EXPECT_EQ(message.status, 200);
  EXPECT_EQ(message.field("Content-Length"), "5");
  EXPECT_EQ(one.ask(kGet).body, "12345") << "the connection is still in step";
}

TEST_F(GatewayTest, AnAnswerWithoutContentHasNoBody) {
  start();
  for (const int status : {204, 304}) {
    host_.behave([status](const InvokeRequest&, const Done& done) {
      done(FakeHost::ok(R"({"statusCode":)" + std::to_string(status) + R"(,"body":"x"})"));
    });
    auto one = client();
    ASSERT_TRUE(one.send(kGet));
    const auto message = one.read(TestClient::Body::kNone);
    EXPECT_EQ(message.status, status);
    EXPECT_EQ(message.field("Content-Length"), "absent");
    EXPECT_FALSE(one.has_bytes(50));
    host_.behave(FakeHost::echo);
    EXPECT_EQ(one.ask(kGet).status, 200);
  }
}

TEST_F(GatewayTest, ExpectContinueIsAnsweredBeforeTheBody) {
  start();
  auto one = client();
  ASSERT_TRUE(
      one.send("POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_EQ(one.read(TestClient::Body::kNone).head, "HTTP/1.1 100 Continue\r\n");
  EXPECT_EQ(one.ask("hello").body, "hello");
  EXPECT_EQ(one.ask("GET /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n").status, 200)
      << "no body, nothing to wait for";
}

TEST_F(GatewayTest, AnExpectedBodyThatIsTooLongIsRefusedWithoutContinue) {
  start();
  const auto message = client().ask(
      "POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 10485761\r\n\r\n");
  EXPECT_EQ(message.status, 413);
  EXPECT_EQ(message.body, R"({"message":"Request Too Long"})");
  EXPECT_TRUE(message.has("Connection: close"));
  EXPECT_EQ(client().ask("POST /x HTTP/1.1\r\nHost: h\r\nExpect: tea\r\n\r\n").status, 417);
}

TEST_F(GatewayTest, AnOversizedRequestReadsItsAnswerWhileItStillSends) {
  start();
  for (const std::string head :
       {"Content-Length: 11000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nA7D8C0\r\n"}) {
    auto one = client();
    ASSERT_TRUE(one.send("POST /x HTTP/1.1\r\nHost: h\r\n" + head));
    EXPECT_TRUE(one.send(std::string(11000000, 'x')));
    EXPECT_EQ(one.read().status, 413);
    one.shut();
    EXPECT_TRUE(one.is_at_end());
  }
}

TEST_F(GatewayTest, TheLargestRequestIsTaken) {
  start();
  host_.behave([](const InvokeRequest& request, const Done& done) {
    done(FakeHost::ok(R"({"statusCode":200,"body":")" + std::to_string(request.payload.size()) +
                      "\"}"));
  });
  const auto message =
      client().ask("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 10485760\r\n\r\n" +
                   std::string(10485760, 'x'));
  EXPECT_EQ(message.status, 200);
  EXPECT_GT(std::stoul(message.body), 10485760u);
}

TEST_F(GatewayTest, LargeAnswersArrive) {
  start();
  host_.behave([](const InvokeRequest&, const Done& done) {
    done(FakeHost::ok(R"({"statusCode":200,"body":")" + std::string(5'000'000, 'y') + "\"}"));
  });
  auto one = client();
  EXPECT_EQ(one.ask(kGet).body, std::string(5'000'000, 'y'));
  EXPECT_EQ(one.ask(kGet).body.size(), 5'000'000u);
}

TEST_F(GatewayTest, GarbageIsRefusedAtOnceAndTheConnectionClosed) {
  start();
  for (const std::string& bytes :
       {std::string("hello\n"), std::string("\x16\x03\x01\x02\x00\x01\x00", 7),
        std::string("\0\0\0\x08\x04\xd2\x16\x2f", 8), std::string("GET / HTTP/3.0\r\n"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), std::string("GET /x HTTP/1.1\n\n"),
        std::string("GET /x HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n"),
        std::string("GET /x HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n"),
        std::string("GET /x HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"),
        std::string("GET /x HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n"),
        std::string("GET /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        std::string("GET /x HTTP/1.1\r\n\r\n"),
        std::string("GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        std::string("GET * HTTP/1.1\r\nHost: h\r\n\r\n"),
        std::string("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"),
        std::string("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: "
                    "chunked\r\n\r\n0\r\n\r\n"),
        std::string("POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                    "chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        std::string("POST /x HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        std::string("POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}) {
    auto one = client();
    ASSERT_TRUE(one.send(bytes));
    const auto message = one.read();
    EXPECT_EQ(message.status, 400) << bytes;
    EXPECT_EQ(message.body, R"({"message":"Bad Request"})");
    one.shut();
    EXPECT_TRUE(one.is_at_end()) << bytes;
  }
  EXPECT_EQ(client().ask(kGet).status, 200);
}

TEST_F(GatewayTest, ACodingThatIsNotChunkedIsNotGuessedAt) {
  start();
  for (const std::string coding : {"gzip, chunked", "gzip", "identity", "xchunked"}) {
    EXPECT_EQ(client()
                  .ask("POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: " + coding + "\r\n\r\n")
                  .status,
              501)
        << coding;
  }
}

TEST_F(GatewayTest, HeadersAndTargetsAreBounded) {
  start();
  EXPECT_EQ(client()
                .ask("GET /x HTTP/1.1\r\nHost: h\r\nA: " + std::string(20480, 'a') + "\r\n\r\n")
                .status,
            431);
  EXPECT_EQ(client()
                .ask("GET /x HTTP/1.1\r\nHost: h\r\nA: " + std::string(19000, 'a') + "\r\n\r\n")
                .status,
            200);
  EXPECT_EQ(client().ask("GET /" + std::string(10300, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n").status,
            414);
  EXPECT_EQ(client().ask("GET /" + std::string(2000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n").status,
            414)
      << "the method's ARN is at most 1,600 bytes";
  EXPECT_EQ(
      client().ask("GET /x?" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n").status,
      200);
  auto endless = client();
  std::string text = "GET /x HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 4000; ++i) text += "A: aaaaaaaa\r\n";
  endless.send(text);
  EXPECT_EQ(endless.read().status, 431) << "also one that never ends";
}

TEST_F(GatewayTest, Http10IsAnsweredAndClosed) {
  start();
  auto old = client();
  const auto message = old.ask("GET /x HTTP/1.0\r\n\r\n");
  EXPECT_EQ(message.status, 200);
  EXPECT_TRUE(message.has("Connection: close"));
  EXPECT_TRUE(old.is_at_end());
  auto kept = client();
  EXPECT_TRUE(
      kept.ask("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").has("Connection: keep-alive"));
  EXPECT_EQ(kept.ask(kGet).status, 200);
  auto closing = client();
  EXPECT_EQ(closing.ask("GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").status, 200);
  EXPECT_TRUE(closing.is_at_end());
}

TEST_F(GatewayTest, AHalfClosedClientStillGetsItsAnswer) {
  start();
  auto one = client();
  ASSERT_TRUE(one.send(kGet));
  one.shut();
  EXPECT_EQ(one.read().status, 200);
  EXPECT_TRUE(one.is_at_end());
}

TEST_F(GatewayTest, TheAbsoluteFormNamesTheHost) {
  std::promise<std::string> seen;
  start();
  host_.behave([&](InvokeRequest request, Done done) {
    seen.set_value(request.payload);
    FakeHost::echo(request, done);
  });
  EXPECT_EQ(client().ask("GET http://example.org:80/x HTTP/1.1\r\nHost: h\r\n\r\n").field("X-Path"),
            "/x");
  EXPECT_NE(seen.get_future().get().find(R"("domainName":"example.org")"), std::string::npos);
}

TEST_F(GatewayTest, NoRouteIs403) {
  start();
  gateway_->set_apis({api_of({"/todos"})});
  auto one = client();
  const auto message = one.ask("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(message.status, 403);
  EXPECT_EQ(message.body, R"({"message":"Missing Authentication Token"})");
  EXPECT_TRUE(message.has("x-amzn-ErrorType: MissingAuthenticationTokenException"));
  EXPECT_EQ(one.ask("GET /todos HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
}

TEST_F(GatewayTest, ASlowHeaderIsGivenUp) {
  start(with_limits([](Limits& limits) { limits.header_deadline = milliseconds(60); }));
  auto slow = client();
  ASSERT_TRUE(slow.send("GET /x HTTP/1.1\r\nHo"));
  EXPECT_EQ(slow.read().status, 408);
}

TEST_F(GatewayTest, ASlowBodyIsGivenUp) {
  start(with_limits([](Limits& limits) { limits.body_deadline = milliseconds(60); }));
  auto slow = client();
  ASSERT_TRUE(slow.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"));
  EXPECT_EQ(slow.read().status, 408);
  EXPECT_EQ(client().ask(kGet).status, 200);
}

TEST_F(GatewayTest, AnIdleConnectionIsClosedWithoutAWord) {
  start(with_limits([](Limits& limits) { limits.idle_deadline = milliseconds(60); }));
  auto silent = client();
  EXPECT_TRUE(silent.is_at_end());
  auto used = client();
  EXPECT_EQ(used.ask(kGet).status, 200);
  EXPECT_TRUE(used.is_at_end());
}

TEST_F(GatewayTest, AFunctionThatTakesTooLongIs504AndItsLateAnswerIsNobodys) {
  start(with_limits([](Limits& limits) { limits.integration_deadline = milliseconds(60); }));
  std::promise<Done> first;
  host_.behave([&](const InvokeRequest&, Done done) { first.set_value(std::move(done)); });
  auto one = client();
  const auto message = one.ask(kGet);
  EXPECT_EQ(message.status, 504);
  EXPECT_EQ(message.body, R"({"message": "Endpoint request timed out"})");
  EXPECT_TRUE(message.has("x-amzn-ErrorType: InternalServerErrorException"));
  EXPECT_TRUE(message.has("Connection: keep-alive"));
  std::promise<Done> second;
  host_.behave([&](const InvokeRequest&, Done done) { second.set_value(std::move(done)); });
  ASSERT_TRUE(one.send(kGet));
  const Done answer_second = second.get_future().get();
  first.get_future().get()(FakeHost::ok(R"({"statusCode":200,"body":"late"})"));
  answer_second(FakeHost::ok(R"({"statusCode":200,"body":"mine"})"));
  EXPECT_EQ(one.read().body, "mine");
}

TEST_F(GatewayTest, RequestsWaitForTheHookAndSeeWhatItChanged) {
  Options options;
  std::promise<RequestReady> asked;
  options.before_request = [&](RequestReady ready) { asked.set_value(std::move(ready)); };
  start(std::move(options));
  gateway_->set_apis({});
  auto one = client();
  ASSERT_TRUE(one.send("GET /new HTTP/1.1\r\nHost: h\r\n\r\n"));
  const RequestReady ready = asked.get_future().get();
  EXPECT_FALSE(one.has_bytes(50));
  gateway_->set_apis({api_of({"/new"})});
  ready({});
  EXPECT_EQ(one.read().status, 200);
  ready({});  // a second call is nobody's
}

TEST_F(GatewayTest, AHookThatFailsIs502WithItsReason) {
  Options options;
  options.before_request = [](const RequestReady& ready) {
    ready(base::Error{base::Code::kInvalidArgument, "publish F: no handler\nat line 3", {}});
  };
  start(std::move(options));
  auto one = client();
  const auto message = one.ask(kGet);
  EXPECT_EQ(message.status, 502);
  EXPECT_EQ(message.body, R"({"message": "Internal server error"})");
  EXPECT_TRUE(message.has("x-zorya-reason: publish F: no handler at line 3"));
  EXPECT_EQ(one.ask(kGet).status, 502);
}

TEST_F(GatewayTest, AHookThatNeverCallsBackIsNotWaitedForForEver) {
  Options options =
      with_limits([](Limits& limits) { limits.before_request_deadline = milliseconds(60); });
  options.before_request = [](const RequestReady&) {};
  start(std::move(options));
  EXPECT_EQ(client().ask(kGet).status, 502);
}

TEST_F(GatewayTest, AFullHouseSendsAwayWhoWaitedLongest) {
  start(with_limits([](Limits& limits) { limits.connections_max = 3; }));
  auto first = client();
  EXPECT_EQ(first.ask(kGet).status, 200);
  auto second = client();
  EXPECT_EQ(second.ask(kGet).status, 200);
  auto third = client();
  EXPECT_EQ(third.ask(kGet).status, 200);
  auto fourth = client();
  EXPECT_EQ(fourth.ask(kGet).status, 200);
  EXPECT_TRUE(first.is_at_end());
  EXPECT_EQ(third.ask(kGet).status, 200);
}

TEST_F(GatewayTest, HalfOpenConnectionsDoNotKeepOthersOut) {
  start(with_limits([](Limits& limits) { limits.connections_max = 100; }));
  std::vector<TestClient> silent;
  for (int i = 0; i < 300; ++i) {
    silent.push_back(client());
    silent.back().send(i % 2 == 0 ? "GET /x HTTP/1.1\r\nHo" : "");
    if (i % 50 == 0) {
      EXPECT_EQ(client().ask(kGet).status, 200);
    }
  }
  EXPECT_EQ(client().ask(kGet).status, 200);
}

TEST_F(GatewayTest, BodiesAreBoundedTogether) {
  start(with_limits([](Limits& limits) { limits.bodies_size_bytes_max = 3 << 20; }));
  const std::string head = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2097152\r\n\r\n";
  auto first = client();
  ASSERT_TRUE(first.send(head + std::string(2097151, 'x')));
  auto second = client();
  second.send(head + std::string(2097151, 'x'));
  // Whichever of the two brings the sum over the bound is refused, the other one goes on.
  const bool second_refused = second.has_bytes(5000);
  auto& refused = second_refused ? second : first;
  auto& other = second_refused ? first : second;
  EXPECT_EQ(refused.read().status, 503);
  EXPECT_EQ(other.ask("x").status, 200);
  EXPECT_EQ(client().ask(head + std::string(2097152, 'x')).status, 200) << "given back";
}

TEST_F(GatewayTest, ClientsThatLeaveHurtNobody) {
  start();
  std::promise<void> invoked;
  std::promise<void> go_on;
  host_.behave([&](const InvokeRequest& request, const Done& done) {
    invoked.set_value();
    go_on.get_future().wait();
    FakeHost::echo(request, done);
  });
  auto leaver = client();
  ASSERT_TRUE(leaver.send(kGet));
  invoked.get_future().wait();
  leaver.close();
  host_.behave(FakeHost::echo);
  go_on.set_value();
  auto half = client();
  half.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
  half.close();
  EXPECT_EQ(client().ask(kGet).status, 200);
}

TEST_F(GatewayTest, TracedRequestsLeaveASegment) {
  start();
  const auto message = client().ask(
      "GET /Prod/x?secret=1 HTTP/1.1\r\nHost: h:1\r\nUser-Agent: t\r\nX-Amzn-Trace-Id: "
      "Root=1-5e66d96f-7491f09abcd79d18acf3d050\r\n\r\n");
  EXPECT_TRUE(message.field("X-Amzn-Trace-Id")
                  .starts_with("Root=1-5e66d96f-7491f09abcd79d18acf3d050;Parent="));
  const std::string document = sink_.wait_for_one();
  EXPECT_NE(document.find(R"("trace_id":"1-5e66d96f-7491f09abcd79d18acf3d050")"), std::string::npos)
      << document;
  EXPECT_NE(document.find(R"("url":"http://h:1/Prod/x")"), std::string::npos) << document;
}

TEST_F(GatewayTest, RoutesChangeWhileRequestsCome) {
  start();
  std::atomic<bool> done{false};
  std::thread changer([&] {
    while (!done) gateway_->set_apis({api_of({"/{proxy+}"})});
  });
  std::vector<std::thread> clients;
  for (int t = 0; t < 3; ++t) {
    clients.emplace_back([&] {
      auto one = client();
      for (int i = 0; i < 100; ++i) ASSERT_EQ(one.ask(kGet).status, 200);
    });
  }
  for (std::thread& thread : clients) thread.join();
  done = true;
  changer.join();
}

TEST_F(GatewayTest, StoppingEndsConnectionsAndLateAnswersFindNobody) {
  start();
  std::promise<Done> waiting;
  host_.behave([&](const InvokeRequest&, Done done) { waiting.set_value(std::move(done)); });
  auto one = client();
  ASSERT_TRUE(one.send(kGet));
  auto silent = client();
  const Done late = waiting.get_future().get();
  gateway_->stop();
  EXPECT_TRUE(one.is_at_end());
  EXPECT_TRUE(silent.is_at_end());
  late(FakeHost::ok(R"({"statusCode":200})"));
  gateway_->stop();
  gateway_.reset();
  late(FakeHost::ok(R"({"statusCode":200})"));
}

TEST_F(GatewayTest, APortInUseAndAnAddressThatIsNoneAreErrors) {
  start();
  Options options;
  options.host = &host_;
  options.port = gateway_->port();
  const auto second = Gateway::start(options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, base::Code::kFailedPrecondition);
  options.address = "localhost";
  EXPECT_EQ(Gateway::start(options).error().code, base::Code::kInvalidArgument);
  options.host = nullptr;
  EXPECT_EQ(Gateway::start(options).error().code, base::Code::kInvalidArgument);
}

TEST_F(GatewayTest, BrokenRequestsNeverBreakTheServer) {
  start(with_limits([](Limits& limits) { limits.header_deadline = milliseconds(40); }));
  const std::string good =
      "POST /x?a=b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"
      "3\r\nabc\r\n0\r\n\r\n";
  for (int round = 0; round < 400; ++round) {
    std::string bad = good;
    for (int change = 0; change < 3; ++change) {
      const std::uint64_t random = base::random_u64();
      bad[random % bad.size()] = static_cast<char>(random >> 32);
    }
    auto one = client();
    one.send(bad);
    one.shut();
  }
  EXPECT_EQ(client().ask(kGet).status, 200);
}

}  // namespace
}  // namespace zorya::gateway
