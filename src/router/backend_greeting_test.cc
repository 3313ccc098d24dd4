#include "router/backend_greeting.h"

#include <gtest/gtest.h>

namespace zorya::router {
namespace {

using namespace std::string_literals;

std::string message(char type, std::string_view body) {
  std::string out;
  pgwire::append_message(out, type, body);
  return out;
}

std::string error(std::string state, std::string text) {
  std::string out;
  pgwire::append_error(out, {.severity = "FATAL",
                             .sqlstate = std::move(state),
                             .message = std::move(text),
                             .hint = "a hint"});
  return out;
}

/// Feeds byte by byte, so that no message comes whole.
BackendGreeting read(const std::string& bytes) {
  BackendGreeting greeting;
  pgwire::FrameCutter cutter(1 << 20, 1 << 20);
  for (const char byte : bytes) {
    if (cutter.feed({&byte, 1}, greeting) != pgwire::CutStatus::kOk) break;
  }
  return greeting;
}

TEST(BackendGreeting, EndsWhenTheBackendIsReady) {
  const std::string parameter = message('S', "TimeZone\0UTC\0"s);
  const auto greeting = read(message('R', "\0\0\0\0"s) + parameter +
                             message('K', "\0\0\0\7\0\0\0\x9"s) + message('Z', "I") + parameter);
  EXPECT_EQ(greeting.status(), pgwire::TransactionStatus::kIdle);
  EXPECT_EQ(greeting.key().process_id, 7u);
  EXPECT_EQ(greeting.key().secret, 9u);
  EXPECT_EQ(greeting.rest(), parameter);
}

TEST(BackendGreeting, ARefusalIsPassedOnOrMapped) {
  const auto refused = read(error("3D000", "database \"x\" does not exist"));
  EXPECT_FALSE(refused.status());
  EXPECT_FALSE(refused.is_starting());
  EXPECT_EQ(refused.error().sqlstate, "3D000");
  EXPECT_EQ(refused.error().hint, "a hint");
  EXPECT_EQ(refused.reason(), "database \"x\" does not exist");
  EXPECT_EQ(read(error("53300", "sorry, too many clients already")).error().message,
            "Unable to accept connection, too many open connections.");
  EXPECT_TRUE(read(error("57P03", "the database system is starting up")).is_starting());
}

TEST(BackendGreeting, WhatWeDoNotExpectIsUnavailable) {
  for (const auto& bytes :
       {message('R', "\0\0\0\5salt"s), message('E', "no zero"), message('Z', "?"), "Z\0\0\0\1"s}) {
    const auto greeting = read(bytes);
    EXPECT_FALSE(greeting.status());
    EXPECT_EQ(greeting.error().sqlstate, "XX000");
    EXPECT_FALSE(greeting.reason().empty());
  }
}

}  // namespace
}  // namespace zorya::router
