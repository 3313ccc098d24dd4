#include "function_host/log_stream.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace zorya::function_host {
namespace {

struct Kept final : telemetry::Sink {
  void log(telemetry::LogEvent event) noexcept override { lines.push_back(event.message); }
  void segment(std::string) noexcept override {}
  std::vector<std::string> lines;
};

TEST(LogStream, MakesLinesOutOfAnyPieces) {
  Kept sink;
  LogStream log(sink, "g", "s", false);
  log.append_output("on");
  log.append_output("e\ntwo\n\nthr");
  EXPECT_EQ(sink.lines, (std::vector<std::string>{"one", "two"}));
  log.append_platform("END");
  EXPECT_EQ(sink.lines, (std::vector<std::string>{"one", "two", "thr", "END"}));
}

TEST(LogStream, CutsALineThatDoesNotEnd) {
  Kept sink;
  LogStream log(sink, "g", "s", false);
  log.append_output(std::string(600 * 1024, 'x'));
  ASSERT_EQ(sink.lines.size(), 2u);
  EXPECT_EQ(sink.lines[0].size(), 256u * 1024);
}

TEST(LogStream, KeepsTheLastFourKilobytesOfAnInvoke) {
  Kept sink;
  LogStream log(sink, "g", "s", false);
  log.append_output("before\n");
  log.begin_tail("r");
  log.append_platform("START");
  EXPECT_EQ(log.take_tail(), "START\n");
  for (int i = 0; i < 100'000; ++i) log.append_output("0123456789\n");
  EXPECT_EQ(log.take_tail().size(), 4096u);
}

TEST(LogStream, WrapsPlainTextForJsonLogs) {
  Kept sink;
  LogStream log(sink, "g", "s", true);
  log.begin_tail("r1");
  log.append_output("hi \"x\"\n{\"level\":\"WARN\"}\n");
  log.append_platform("{\"type\":\"platform.report\"}");
  ASSERT_EQ(sink.lines.size(), 3u);
  EXPECT_NE(
      sink.lines[0].find("\"level\":\"INFO\",\"message\":\"hi \\\"x\\\"\",\"requestId\":\"r1\""),
      std::string::npos);
  EXPECT_EQ(sink.lines[1], "{\"level\":\"WARN\"}");
  EXPECT_EQ(sink.lines[2], "{\"type\":\"platform.report\"}");
}

TEST(LogStream, NamesStreamsAsTheServiceDoes) {
  const std::string name = LogStream::new_stream_name("f", "3", false);
  EXPECT_EQ(name.size(), std::string("2026/11/26/[3]").size() + 32);
  EXPECT_NE(LogStream::new_stream_name("f", "3", true).find("/f[3]"), std::string::npos);
}

}  // namespace
}  // namespace zorya::function_host
