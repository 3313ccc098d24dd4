#include "gateway/trace.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace zorya::gateway {
namespace {

const auto kNow = std::chrono::system_clock::from_time_t(0x5e66d96f);
constexpr std::string_view kRoot = "1-5e66d96f-7491f09abcd79d18acf3d050";

TEST(Trace, ARequestWithoutAHeaderBeginsATrace) {
  const TraceContext trace = begin_trace({}, true, kNow);
  EXPECT_TRUE(trace.is_traced);
  EXPECT_EQ(trace.root.size(), 35u);
  EXPECT_TRUE(trace.root.starts_with("1-5e66d96f-"));
  EXPECT_EQ(trace.event_header, "Root=" + trace.root);
  EXPECT_EQ(trace.invoke_header,
            "Root=" + trace.root + ";Parent=" + trace.integration_id + ";Sampled=1");
  EXPECT_NE(begin_trace({}, true, kNow).root, trace.root);
}

TEST(Trace, TheCallersTraceGoesOn) {
  const std::string header = "Root=" + std::string(kRoot) + ";Parent=53995c3f42cd8ad8;Sampled=1";
  const TraceContext trace = begin_trace(header, true, kNow);
  EXPECT_EQ(trace.root, kRoot);
  EXPECT_EQ(trace.parent, "53995c3f42cd8ad8");
  EXPECT_EQ(trace.event_header, header);
  EXPECT_NE(trace.segment_id, trace.parent);
}

TEST(Trace, TheCallerMayDecideAgainstIt) {
  const TraceContext trace = begin_trace("root=" + std::string(kRoot) + "; sampled=0", true, kNow);
  EXPECT_FALSE(trace.is_traced);
  EXPECT_EQ(trace.invoke_header, "Root=" + std::string(kRoot) + ";Sampled=0");
}

TEST(Trace, AStageThatDoesNotTraceOnlyForwards) {
  const TraceContext fresh = begin_trace({}, false, kNow);
  EXPECT_FALSE(fresh.is_traced);
  EXPECT_EQ(fresh.invoke_header, "Root=" + fresh.root);
  const std::string header =
      "Root=" + std::string(kRoot) + ";Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:1;x=y";
  EXPECT_EQ(begin_trace(header, false, kNow).invoke_header,
            "Root=" + std::string(kRoot) + ";Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:1");
}

TEST(Trace, AMalformedHeaderCountsAsNone) {
  for (const std::string& header :
       {std::string("Root=1-5e66d96f"), std::string("Parent=53995c3f42cd8ad8"), std::string(";;=;"),
        "Root=2" + std::string(kRoot.substr(1)), "Root=" + std::string(kRoot) + "0",
        "Root=" + std::string(kRoot) + ";x=" + std::string(2000, 'x')}) {
    const TraceContext trace = begin_trace(header, true, kNow);
    EXPECT_NE(trace.root, kRoot) << header;
    EXPECT_TRUE(trace.parent.empty()) << header;
    EXPECT_EQ(trace.event_header, "Root=" + trace.root);
  }
}

TEST(Trace, TheStagesSegmentNamesTheCallOfTheFunctionAsParent) {
  const TraceContext trace =
      begin_trace("Root=" + std::string(kRoot) + ";Parent=53995c3f42cd8ad8", true, kNow);
  StageSegment segment;
  segment.name = "todos/Prod";
  segment.region = "us-east-1";
  segment.account = "000000000000";
  segment.api_id = "abcdefghij";
  segment.stage = "Prod";
  segment.request_id = "r";
  segment.method = "GET";
  segment.url = "http://h/\"todos";
  segment.client_ip = "127.0.0.1";
  segment.function = "F";
  segment.status = 502;
  segment.invoke_status = 429;
  segment.start = kNow + std::chrono::microseconds(7);
  segment.invoke_start = kNow + std::chrono::microseconds(8);
  segment.end = kNow + std::chrono::microseconds(1000009);
  const auto value = boost::json::parse(make_stage_segment(trace, segment));
  EXPECT_EQ(value.at("origin"), "AWS::ApiGateway::Stage");
  EXPECT_EQ(value.at("trace_id").as_string(), kRoot);
  EXPECT_EQ(value.at("parent_id"), "53995c3f42cd8ad8");
  EXPECT_EQ(value.at("fault"), boost::json::value(true));
  EXPECT_EQ(value.at("http").at("response").at("status"), 502);
  EXPECT_DOUBLE_EQ(value.at("start_time").as_double(), 0x5e66d96f + 0.000007);
  const auto& invoke = value.at("subsegments").at(0);
  EXPECT_EQ(invoke.at("id").as_string(), trace.integration_id);
  EXPECT_EQ(invoke.at("throttle"), boost::json::value(true));
  EXPECT_EQ(invoke.at("error"), boost::json::value(true));
}

}  // namespace
}  // namespace zorya::gateway
