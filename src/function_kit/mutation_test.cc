#include "function_kit/http_connection.h"
#include "function_kit/router.h"
#include "function_kit/scripted_server.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace function_kit {
namespace {

/// A few bytes of `text` changed, doubled, cut or swapped for those that parsers look for.
std::string mutate(std::string text, std::mt19937& random) {
  constexpr std::string_view kMarks = "{}[]\",:\\\r\n \0;-0123456789abcdef\xff\xc0";
  const auto pick = [&](std::size_t below) { return below == 0 ? 0 : random() % below; };
  for (std::size_t i = 0; i <= pick(4); ++i) {
    const std::size_t at = pick(text.size());
    switch (pick(4)) {
      case 0:
        if (!text.empty()) text[at] = kMarks[pick(kMarks.size())];
        break;
      case 1:
        text.insert(at, 1, kMarks[pick(kMarks.size())]);
        break;
      case 2:
        text.erase(at, 1 + pick(8));
        break;
      default:
        text.insert(at, text.substr(at, pick(32)));
    }
  }
  return text;
}

const std::vector<std::string> event_seeds = {
    R"({"httpMethod":"POST","path":"/a/b/c%20d","headers":{"A":"b"},"queryStringParameters":null,
       "body":"{\"title\":\"x\"}","isBase64Encoded":false,"requestContext":{"requestId":"r"}})",
    R"({"httpMethod":"GET","path":"/%","isBase64Encoded":true,"body":"AP8=","headers":null})"};

TEST(Mutations, NoEventBreaksTheParserOrTheAnswer) {
  std::mt19937 random(20261126);
  Router router;
  router.on("GET", "/{a}/b/{c}", [](const HttpRequest& request, const Context&) {
    return HttpResponse{200, {}, request.path_parameters.at("c") + request.body};
  });
  int read = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string event = event_seeds[static_cast<std::size_t>(i) % event_seeds.size()];
    event = mutate(event, random);
    auto request = parse_http_event(event);
    if (!request) continue;
    ++read;
    if (auto body = request->json()) to_event_answer(json_response(200, *body));
    request->method = "GET";
    // The answer is JSON whatever came in: its own reader takes it.
    EXPECT_TRUE(router(event, {})) << event;
  }
  EXPECT_GT(read, 1'000) << "mutations so wild that nothing was read test nothing";
}

TEST(Mutations, NoReplyBreaksOrHangsTheConnection) {
  std::mt19937 random(7);
  const std::vector<std::string> replies = {
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"};
  int read = 0;
  for (int i = 0; i < 400; ++i) {
    // The script ends after this reply, so that one which promises more ends in a closed
    // connection.
    ScriptedServer server({mutate(replies[static_cast<std::size_t>(i) % replies.size()], random)});
    HttpConnection connection(server.address(), std::chrono::seconds(10));
    if (connection.exchange({.method = "GET", .target = "/"})) ++read;
  }
  EXPECT_GT(read, 40);
}

}  // namespace
}  // namespace function_kit
