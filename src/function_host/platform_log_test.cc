#include "function_host/platform_log.h"

#include <gtest/gtest.h>

#include <chrono>

namespace zorya::function_host {
namespace {

using namespace std::chrono_literals;

PlatformLog log_of(LogFormat format) {
  return PlatformLog({.function = "f",
                      .version = "3",
                      .runtime = "python:3.12",
                      .region = "us-east-1",
                      .snap_start = true,
                      .format = format,
                      .memory_size_mb = 512});
}

TEST(PlatformLog, SpellsTheTextLinesAsTheServiceDoes) {
  const PlatformLog log = log_of(LogFormat::kText);
  EXPECT_EQ(log.start("id", ""), "START RequestId: id Version: 3");
  EXPECT_EQ(log.end("id"), "END RequestId: id");
  EXPECT_EQ(log.restore_report(398970us, PhaseStatus::kSuccess, ""),
            "RESTORE_REPORT Restore Duration: 398.97 ms");
  EXPECT_EQ(log.restore_report(1236040us, PhaseStatus::kError, "Runtime.ExitError"),
            "RESTORE_REPORT Restore Duration: 1236.04 ms\tStatus: error\tError Type: "
            "Runtime.ExitError");
  EXPECT_EQ(log.init_report("snap-start", 1236040us, PhaseStatus::kSuccess, ""),
            "INIT_REPORT Init Duration: 1236.04 ms\tPhase: snap-start\tStatus: success");
  EXPECT_EQ(log.init_report("init", 10s, PhaseStatus::kTimeout, ""),
            "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout");
}

TEST(PlatformLog, AddsTheRestoreToTheBill) {
  InvokeReport report;
  report.request_id = "id";
  report.duration = 2338660us;
  report.memory_size_mb = 3009;
  report.memory_used_mb_max = 173;
  report.restore_duration = 398970us;
  report.billed_restore_duration = 181500us;
  EXPECT_EQ(log_of(LogFormat::kText).report(report),
            "REPORT RequestId: id\tDuration: 2338.66 ms\tBilled Duration: 2521 ms\tMemory Size: "
            "3009 MB\tMax Memory Used: 173 MB\tRestore Duration: 398.97 ms\tBilled Restore "
            "Duration: 182 ms\t");
}

TEST(PlatformLog, ReportsAFailureInBothFormats) {
  InvokeReport report;
  report.request_id = "id";
  report.duration = 3s;
  report.status = PhaseStatus::kTimeout;
  report.memory_size_mb = 128;
  EXPECT_TRUE(log_of(LogFormat::kText).report(report).ends_with("\tStatus: timeout\t"));
  const std::string json = log_of(LogFormat::kJson).report(report);
  EXPECT_NE(json.find("\"type\":\"platform.report\""), std::string::npos);
  EXPECT_NE(json.find("\"status\":\"timeout\""), std::string::npos);
  EXPECT_NE(json.find("\"durationMs\":3000.00"), std::string::npos);
}

TEST(PlatformLog, HasNoEndLineInJson) { EXPECT_EQ(log_of(LogFormat::kJson).end("id"), ""); }

TEST(PlatformLog, SpellsTheServicesErrors) {
  EXPECT_EQ(error_payload("Sandbox.Timedout", timeout_message("r", 5s)),
            "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"RequestId: r Error: Task timed "
            "out after 5.00 seconds\"}");
  EXPECT_EQ(exit_message("r", 0), "RequestId: r Error: Runtime exited without providing a reason");
  EXPECT_EQ(exit_message("r", 127 << 8),
            "RequestId: r Error: Runtime exited with error: exit status 127");
  EXPECT_EQ(exit_message("r", 9), "RequestId: r Error: Runtime exited with error: signal: killed");
}

TEST(PlatformLog, QuotesAnyBytes) {
  EXPECT_EQ(json_quote("a\"b\\\n\x01"), "\"a\\\"b\\\\\\n\\u0001\"");
  EXPECT_EQ(json_quote("\xc3\xa4"), "\"\xc3\xa4\"");
  EXPECT_EQ(json_quote("\xff\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace zorya::function_host
