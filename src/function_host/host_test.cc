#include "function_host/host.h"

#include "base/files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace zorya::function_host {
namespace {

using namespace std::chrono_literals;

struct Kept final : telemetry::Sink {
  void log(telemetry::LogEvent event) noexcept override {
    const std::lock_guard lock(mutex);
    lines.push_back(event.message);
    streams.insert(event.stream);
  }
  void segment(std::string document) noexcept override {
    const std::lock_guard lock(mutex);
    segments.push_back(std::move(document));
  }
  bool has(const std::string& part) {
    const std::lock_guard lock(mutex);
    return std::any_of(lines.begin(), lines.end(),
                       [&](const auto& line) { return line.find(part) != std::string::npos; });
  }
  std::mutex mutex;
  std::vector<std::string> lines;
  std::set<std::string> streams;
  std::vector<std::string> segments;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t entries_of(const char* folder) {
  std::error_code error;
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(folder, error), {}));
}

/// The tests' parameter: with control groups where the machine has them, or without.
class HostTest : public ::testing::TestWithParam<CgroupMode> {
 protected:
  void SetUp() override {
    char name[] = "/tmp/zorya-host-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
    auto launcher = base::Launcher::create();
    ASSERT_TRUE(launcher);
    launcher_ = std::move(*launcher);
    spec_.name = "probe";
    spec_.runtime = "provided.al2023";
    spec_.handler = "none";
    // Another place where the test runs as a user who cannot reach the sources.
    const char* const testdata = std::getenv("ZORYA_TESTDATA");
    spec_.code_folder = std::filesystem::path(testdata ? testdata : ZORYA_TESTDATA) / "probe";
    spec_.memory_size_mb = 128;
    spec_.timeout = 10s;
    options_.data_folder = folder_;
    options_.library_folder = base::program_folder() / "../lib/zorya";
    options_.launcher = launcher_.get();
    options_.sink = &sink_;
    options_.cgroups = GetParam();
    options_.credentials = [](const std::string&) {
      return Credentials{"ASIAX", "secret", "token", std::chrono::system_clock::now() + 1h};
    };
  }
  void TearDown() override {
    host_.reset();
    launcher_.reset();
    std::filesystem::remove_all(folder_);
  }

  void start() {
    auto host = make_host(options_);
    ASSERT_TRUE(host) << base::to_string(host.error());
    host_ = std::move(*host);
  }
  base::Result<VersionInfo> publish() {
    std::promise<base::Result<VersionInfo>> promise;
    host_->publish(spec_, [&](base::Result<VersionInfo> r) { promise.set_value(std::move(r)); });
    return promise.get_future().get();
  }
  void start_and_publish() {
    start();
    auto info = publish();
    ASSERT_TRUE(info) << base::to_string(info.error());
    EXPECT_EQ(info->state, VersionState::kActive);
  }
  std::future<InvokeResult> invoke_later(const std::string& payload,
                                         const std::string& trace = "") {
    auto promise = std::make_shared<std::promise<InvokeResult>>();
    auto future = promise->get_future();
    host_->invoke({spec_.name, payload, trace, ""},
                  [promise](InvokeResult result) { promise->set_value(std::move(result)); });
    return future;
  }
  InvokeResult invoke(const std::string& payload, const std::string& trace = "") {
    return invoke_later(payload, trace).get();
  }
  /// An environment asks for more a moment after its answer was passed on.
  void expect_idle(int count) {
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    while (host_->status().environments_idle != count &&
           std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    EXPECT_EQ(host_->status().environments_idle, count);
  }
  void expect_serves_on() { EXPECT_EQ(invoke(R"({"a": 1})").payload, R"({"a": 1})"); }

  std::filesystem::path folder_;
  std::unique_ptr<base::Launcher> launcher_;
  Kept sink_;
  FunctionSpec spec_;
  Options options_;
  std::unique_ptr<FunctionHost> host_;
};

INSTANTIATE_TEST_SUITE_P(Host, HostTest, ::testing::Values(CgroupMode::kAuto, CgroupMode::kOff),
                         [](const auto& mode) {
                           return mode.param == CgroupMode::kOff ? "WithoutCgroups" : "WithCgroups";
                         });

TEST_P(HostTest, AnswersWithWhatTheFunctionSays) {
  start_and_publish();
  const InvokeResult result = invoke(R"({"hello": "world"})");
  EXPECT_EQ(result.outcome, InvokeOutcome::kOk);
  EXPECT_EQ(result.payload, R"({"hello": "world"})");
  EXPECT_EQ(result.executed_version, "$LATEST");
  EXPECT_TRUE(contains(result.log_tail, "START RequestId: " + result.request_id));
  EXPECT_TRUE(contains(result.log_tail, "Init Duration: "));
  EXPECT_TRUE(sink_.has("INIT_START Runtime Version: "));
}

TEST_P(HostTest, UsesAnEnvironmentAgain) {
  start_and_publish();
  EXPECT_EQ(invoke(R"({"op":"count"})").payload, "1");
  const InvokeResult second = invoke(R"({"op":"count"})");
  EXPECT_EQ(second.payload, "2");
  EXPECT_FALSE(contains(second.log_tail, "Init Duration"));
  expect_idle(1);
}

TEST_P(HostTest, GivesEachConcurrentRequestItsOwnEnvironment) {
  start_and_publish();
  std::vector<std::future<InvokeResult>> results;
  for (int i = 0; i < 4; ++i) results.push_back(invoke_later(R"({"op":"sleep","seconds":0.5})"));
  for (auto& result : results) EXPECT_EQ(result.get().outcome, InvokeOutcome::kOk);
  expect_idle(4);
}

TEST_P(HostTest, ThrottlesBeyondItsCapAndMakesRoomForOthers) {
  options_.concurrency_max = 1;
  start_and_publish();
  auto first = invoke_later(R"({"op":"sleep","seconds":1})");
  const InvokeResult second = invoke("{}");
  EXPECT_EQ(second.outcome, InvokeOutcome::kThrottled);
  EXPECT_EQ(first.get().outcome, InvokeOutcome::kOk);
  spec_.name = "other";
  ASSERT_TRUE(publish());
  EXPECT_EQ(invoke("{}").outcome, InvokeOutcome::kOk);
}

TEST_P(HostTest, EndsAFunctionAtItsTimeout) {
  spec_.timeout = 1s;
  start_and_publish();
  const InvokeResult result = invoke(R"({"op":"sleep","seconds":30})");
  EXPECT_EQ(result.function_error, "Unhandled");
  EXPECT_EQ(result.payload, "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"RequestId: " +
                                result.request_id + " Error: Task timed out after 1.00 seconds\"}");
  EXPECT_TRUE(contains(result.log_tail, "Status: timeout"));
  expect_serves_on();
}

TEST_P(HostTest, ReportsARuntimeThatExits) {
  start_and_publish();
  const InvokeResult result = invoke(R"({"op":"exit","status":3})");
  EXPECT_TRUE(contains(result.payload, "Runtime exited with error: exit status 3"))
      << result.payload;
  EXPECT_TRUE(contains(result.log_tail, "Error Type: Runtime.ExitError"));
  EXPECT_TRUE(contains(invoke(R"({"op":"exit","status":0})").payload,
                       "Runtime exited without providing a reason"));
  expect_serves_on();
}

TEST_P(HostTest, PassesTheFunctionsErrorOn) {
  start_and_publish();
  const InvokeResult result = invoke(R"({"op":"absent"})");
  EXPECT_EQ(result.outcome, InvokeOutcome::kFunctionError);
  EXPECT_EQ(result.payload, R"({"errorMessage": "'absent'", "errorType": "KeyError"})");
  EXPECT_EQ(invoke(R"({"op":"count"})").payload, "2");
}

TEST_P(HostTest, PassesNonsenseOnAsItIs) {
  start_and_publish();
  EXPECT_EQ(invoke(R"({"op":"raw","text":"<not json"})").payload, "<not json");
}

TEST_P(HostTest, RefusesAResponseOverSixMegabytes) {
  spec_.memory_size_mb = 512;
  start_and_publish();
  const InvokeResult result = invoke(R"({"op":"big","bytes":7000000})");
  EXPECT_TRUE(contains(result.payload, "Function.ResponseSizeTooLarge")) << result.payload;
  EXPECT_EQ(invoke(R"({"op":"big","bytes":6000000})").payload.size(), 6'000'002u);
  const InvokeResult request = invoke(std::string(6 * 1024 * 1024 + 1, ' '));
  EXPECT_EQ(request.outcome, InvokeOutcome::kTooLarge);
}

TEST_P(HostTest, EndsAFunctionThatEatsMoreThanItsMemory) {
  start_and_publish();
  const InvokeResult result = invoke(R"({"op":"eat"})");
  EXPECT_TRUE(contains(result.payload, "Runtime exited with error: signal: killed"))
      << result.payload;
  EXPECT_TRUE(contains(result.reason, "memory")) << result.reason;
  expect_serves_on();
}

TEST_P(HostTest, BoundsWhatLiesInTmpApartFromMemory) {
  start_and_publish();
  const InvokeResult result = invoke(R"({"op":"fill"})");
  EXPECT_TRUE(contains(result.payload, "No space left on device")) << result.payload;
  EXPECT_TRUE(contains(result.payload, "536870912") || contains(result.payload, "53582"))
      << result.payload;
  EXPECT_EQ(invoke(R"({"op":"count"})").payload, "2");
}

TEST_P(HostTest, StopsAForkBomb) {
  start_and_publish();
  const InvokeResult result = invoke(R"({"op":"bomb"})");
  // Either the limit answers, or the memory of a thousand interpreters is too much first.
  EXPECT_TRUE(contains(result.payload, "Resource temporarily unavailable") ||
              contains(result.payload, "signal: killed"))
      << result.payload;
  spec_.name = "other";
  ASSERT_TRUE(publish());
  expect_serves_on();
}

TEST_P(HostTest, KeepsTenMegabytesOfOutput) {
  start_and_publish();
  const InvokeResult result = invoke(R"({"op":"print","lines":10000})");
  EXPECT_EQ(result.outcome, InvokeOutcome::kOk);
  EXPECT_LE(result.log_tail.size(), 4096u);
  const std::lock_guard lock(sink_.mutex);
  EXPECT_EQ(std::count(sink_.lines.begin(), sink_.lines.end(), std::string(999, 'x')), 10'000);
}

TEST_P(HostTest, HidesTheHostsFiles) {
  start_and_publish();
  const std::string answer =
      invoke(
          R"({"op":"read","paths":["/etc/shadow","/root/.bashrc","/proc/1/environ","/proc/1/maps",
             "/proc/1/root/etc/shadow","/var/lib/postgresql","/proc/sys/kernel/core_pattern"]})")
          .payload;
  EXPECT_TRUE(contains(answer, R"("/etc/shadow": "No such file or directory")")) << answer;
  EXPECT_TRUE(contains(answer, R"("/root/.bashrc": "No such file or directory")")) << answer;
  EXPECT_TRUE(contains(answer, R"("/proc/1/environ": "Permission denied")")) << answer;
  EXPECT_TRUE(contains(answer, R"("/proc/1/maps": "Permission denied")")) << answer;
  EXPECT_TRUE(contains(answer, R"("/proc/1/root/etc/shadow": "Permission denied")")) << answer;
}

TEST_P(HostTest, ReachesNoNetwork) {
  start_and_publish();
  for (const char* payload : {R"({"op":"connect","host":"8.8.8.8","port":53})",
                              R"({"op":"connect","host":"169.254.169.254","port":80})",
                              R"({"op":"connect","host":"example.com","port":80})",
                              R"({"op":"connect","host":"127.0.0.1","port":22})"}) {
    const std::string answer = invoke(payload).payload;
    EXPECT_FALSE(contains(answer, "connected")) << payload;
    const std::size_t at = answer.find("\"seconds\": ");
    ASSERT_NE(at, std::string::npos) << answer;
    EXPECT_LT(std::atof(answer.c_str() + at + 11), 0.1) << answer;
  }
}

TEST_P(HostTest, HandsDatabaseConnectionsToTheRouter) {
  std::promise<std::string> origin;
  options_.on_database_connection = [&](base::UniqueFd, std::string from, std::shared_ptr<void>) {
    origin.set_value(std::move(from));
  };
  start_and_publish();
  const std::string answer =
      invoke(
          R"({"op":"connect","host":"abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws","port":5432})")
          .payload;
  EXPECT_TRUE(contains(answer, "connected")) << answer;
  EXPECT_EQ(origin.get_future().get(), "function probe version $LATEST");
}

TEST_P(HostTest, BoundsTheDatabaseConnectionsOfAnEnvironment) {
  std::mutex mutex;
  std::vector<std::pair<base::UniqueFd, std::shared_ptr<void>>> open;
  options_.database_connections_max = 3;
  options_.on_database_connection = [&](base::UniqueFd fd, const std::string&,
                                        std::shared_ptr<void> lease) {
    const std::lock_guard lock(mutex);
    open.emplace_back(std::move(fd), std::move(lease));
  };
  start_and_publish();
  // Of four that it holds at once one was closed by us.
  EXPECT_EQ(invoke(R"({"op":"connections","count":4,"closed":1})").payload, "3");
  EXPECT_EQ(invoke(R"({"op":"connections","count":1,"closed":1})").payload, "0");
  {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(open.size(), 3u);
    open.pop_back();  // whoever served it is done
  }
  EXPECT_EQ(invoke(R"({"op":"connections","count":2,"closed":1})").payload, "1");
  host_.reset();
}

TEST_P(HostTest, IgnoresAKillOfPidOne) {
  start_and_publish();
  invoke(R"({"op":"kill","pid":1})");
  EXPECT_EQ(invoke(R"({"op":"count"})").payload, "2");
}

TEST_P(HostTest, HoldsTheRuntimeToTheProtocol) {
  start_and_publish();
  EXPECT_EQ(invoke(R"({"op":"protocol"})").payload, "[403, 400, 403, 404, 404]");
  const std::string headers = invoke(R"({"op":"headers"})", "Root=1-5-6;Sampled=0").payload;
  EXPECT_TRUE(contains(headers, "Lambda-Runtime-Deadline-Ms")) << headers;
  EXPECT_TRUE(contains(headers, "\"Lambda-Runtime-Trace-Id\": \"Root=1-5-6;Sampled=0\""))
      << headers;
  EXPECT_TRUE(contains(headers, "arn:aws:lambda:us-east-1:000000000000:function:probe")) << headers;
}

TEST_P(HostTest, SetsTheServicesVariables) {
  spec_.environment = {{"MINE", "1"}, {"AWS_REGION", "stolen"}};
  start_and_publish();
  const std::string env = invoke(R"({"op":"env"})").payload;
  for (const char* part :
       {"\"MINE\": \"1\"", "\"AWS_REGION\": \"us-east-1\"", "\"AWS_ACCESS_KEY_ID\": \"ASIAX\"",
        "\"AWS_LAMBDA_FUNCTION_MEMORY_SIZE\": \"128\"", "\"LAMBDA_TASK_ROOT\": \"/var/task\"",
        "\"AWS_LAMBDA_INITIALIZATION_TYPE\": \"on-demand\"", "\"_HANDLER\": \"none\""}) {
    EXPECT_TRUE(contains(env, part)) << part << " in " << env;
  }
}

TEST_P(HostTest, TriesInitAgainUnderTheInvokeAndThenReportsIt) {
  spec_.environment = {{"PROBE_INIT", "error"}};
  start_and_publish();
  const InvokeResult result = invoke("{}");
  EXPECT_EQ(result.payload, R"({"errorMessage": "no luck", "errorType": "Runtime.Unlucky"})");
  EXPECT_TRUE(sink_.has("Phase: init\tStatus: error\tError Type: Runtime.Unlucky"));
  EXPECT_TRUE(sink_.has("Phase: invoke\tStatus: error\tError Type: Runtime.Unlucky"));
}

TEST_P(HostTest, ReportsAnInitThatExits) {
  spec_.environment = {{"PROBE_INIT", "exit"}};
  start_and_publish();
  EXPECT_TRUE(contains(invoke("{}").payload, "Runtime exited with error: exit status 7"));
  EXPECT_TRUE(sink_.has("leaving"));
}

TEST_P(HostTest, GivesInitTenSecondsAndThenTheTimeoutOfTheInvoke) {
  if (GetParam() == CgroupMode::kAuto) GTEST_SKIP() << "eleven seconds once are enough";
  spec_.environment = {{"PROBE_INIT", "sleep"}};
  spec_.timeout = 1s;
  start_and_publish();
  const auto began = std::chrono::steady_clock::now();
  EXPECT_TRUE(contains(invoke("{}").payload, "Task timed out after 1.00 seconds"));
  EXPECT_GE(std::chrono::steady_clock::now() - began, 11s);
  EXPECT_TRUE(sink_.has("INIT_REPORT Init Duration: 10"));
  EXPECT_TRUE(sink_.has("Phase: init\tStatus: timeout"));
}

TEST_P(HostTest, EndsIdleEnvironments) {
  options_.idle_time = 0s;
  start_and_publish();
  expect_serves_on();
  expect_idle(1);
  const auto deadline = std::chrono::steady_clock::now() + 15s;
  while (host_->status().environments_idle > 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(host_->status().environments_idle, 0);
  expect_serves_on();
}

TEST_P(HostTest, TracesAnInvokeAndTakesTheFunctionsSegments) {
  spec_.tracing_active = true;
  start_and_publish();
  const InvokeResult result =
      invoke(R"({"op":"trace"})", "Root=1-67891233-abcdef012345678912345678");
  EXPECT_TRUE(contains(result.log_tail, "XRAY TraceId: 1-67891233-abcdef012345678912345678"));
  expect_serves_on();
  const std::lock_guard lock(sink_.mutex);
  int service = 0;
  int function = 0;
  int own = 0;
  for (const std::string& segment : sink_.segments) {
    service += contains(segment, "\"origin\":\"AWS::Lambda\"") ? 1 : 0;
    function += contains(segment, "\"origin\":\"AWS::Lambda::Function\"") ? 1 : 0;
    own += segment == R"({"name":"mine"})" ? 1 : 0;
  }
  EXPECT_EQ(service, 2);
  EXPECT_EQ(function, 2);
  EXPECT_EQ(own, 1);
}

TEST_P(HostTest, NumbersPublishedVersionsAndKeepsTheOldOneServingWhenAPublishFails) {
  spec_.alias = "live";
  start_and_publish();
  EXPECT_EQ(invoke("{}").executed_version, "1");
  auto same = publish();
  ASSERT_TRUE(same);
  EXPECT_EQ(same->version, "1");
  spec_.memory_size_mb = 256;
  auto second = publish();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->version, "2");
  spec_.code_folder = folder_ / "absent";
  EXPECT_FALSE(publish());
  EXPECT_EQ(invoke("{}").executed_version, "2");
}

TEST_P(HostTest, SaysThatAFunctionIsUnknownOrGone) {
  start_and_publish();
  expect_serves_on();
  std::promise<void> removed;
  host_->remove("probe", [&] { removed.set_value(); });
  removed.get_future().get();
  EXPECT_EQ(invoke("{}").outcome, InvokeOutcome::kNotFound);
}

TEST_P(HostTest, AnswersWhatIsUnderWayWhenItStops) {
  start_and_publish();
  auto result = invoke_later(R"({"op":"sleep","seconds":30})");
  while (host_->status().environments_busy == 0) std::this_thread::yield();
  host_.reset();
  EXPECT_TRUE(contains(result.get().payload, "Sandbox.Failure"));
}

TEST_P(HostTest, LeavesNothingBehind) {
  start_and_publish();
  expect_serves_on();
  const std::size_t before = entries_of("/proc/self/fd");
  for (int round = 0; round < 3; ++round) {
    invoke(R"({"op":"exit","status":1})");
    expect_serves_on();
  }
  host_.reset();
  EXPECT_LE(entries_of("/proc/self/fd"), before);
  std::ifstream children("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  std::string rest;
  std::getline(children, rest);
  EXPECT_EQ(rest, "");
}

}  // namespace
}  // namespace zorya::function_host
