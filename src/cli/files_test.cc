#include "base/files.h"

#include "base/random.h"
#include "cli/control.h"
#include "cli/control_messages.h"
#include "cli/data_folder.h"
#include "cli/instance_file.h"
#include "cli/ports.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <thread>

namespace zorya::cli {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("zorya-cli-" + base::random_alphanumeric(12))) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

mode_t mode_of(const fs::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

std::string echo(const std::string& request, const ControlServer::Say&) { return request; }

InstanceInfo sample_info() {
  InstanceInfo info;
  info.pid = ::getpid();
  info.api_url = "http://127.0.0.1:3000";
  info.dsql = {{"abcdefghijklmnopqrstuvwxyz", "Db", "abc.dsql.us-east-1.on.aws", "127.0.0.1", 5432,
                "us-east-1"}};
  info.functions = {{"F", "shop-F-1", "/aws/lambda/shop-F-1"}};
  info.ca_file = "/d/ca/ca.pem";
  info.region = "us-east-1";
  info.stack = "shop";
  return info;
}

TEST(DataFolder, ASecondTakerIsToldWhoHoldsIt) {
  Folder folder;
  const fs::path data = folder.path() / "data";
  auto first = DataFolder::take(data);
  ASSERT_TRUE(first) << base::to_string(first.error());
  EXPECT_EQ(mode_of(data), 0711u);
  const auto second = DataFolder::take(data);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos);
}

TEST(DataFolder, TheSeedIsMadeOnceAndKeptSecret) {
  Folder folder;
  auto data = DataFolder::take(folder.path() / "data");
  ASSERT_TRUE(data);
  const auto first = data->load_state();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->seed.size(), 32u);
  EXPECT_EQ(data->load_state()->seed, first->seed);
  EXPECT_EQ(mode_of(folder.path() / "data/state.json"), 0600u);
}

TEST(DataFolder, StateSurvivesWritingAndReading) {
  State state{.seed = "s"};
  state.stacks["shop"]["Db"] = {"AWS::DSQL::Cluster", "id\"1", true};
  const auto read = parse_state(state_text(state));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->seed, "s");
  EXPECT_EQ(read->stacks.at("shop").at("Db").id, "id\"1");
  EXPECT_TRUE(read->stacks.at("shop").at("Db").is_left);
}

TEST(DataFolder, BadStateIsAnErrorAndNotANewSeed) {
  for (const char* bad :
       {"", "[]", "{}", "{\"version\":1}", "{\"version\":2,\"seed\":\"x\"}", "{\"version\":1"}) {
    EXPECT_FALSE(parse_state(bad)) << bad;
  }
}

TEST(DataFolder, ResetRemovesWhatWasMadeAndNothingElse) {
  Folder folder;
  const fs::path data = folder.path() / "data";
  auto taken = DataFolder::take(data);
  ASSERT_TRUE(taken);
  for (const char* made : {"ca", "keys", "clusters/x", "functions/f/1"})
    fs::create_directories(data / made);
  std::ofstream(data / "telemetry.sqlite-wal") << "x";
  std::ofstream(data / "mine.txt") << "x";
  const auto left = remove_made(data);
  ASSERT_TRUE(left);
  EXPECT_EQ(*left, std::vector<std::string>{"mine.txt"});
  EXPECT_TRUE(fs::exists(data / "mine.txt"));
  EXPECT_EQ(std::distance(fs::directory_iterator(data), fs::directory_iterator()), 1);
  fs::remove(data / "mine.txt");
  ASSERT_TRUE(remove_made(data));
  EXPECT_FALSE(fs::exists(data));
}

TEST(InstanceFile, WhatIsWrittenIsRead) {
  const auto read = parse_instance(instance_text(sample_info()));
  ASSERT_TRUE(read);
  EXPECT_EQ(instance_text(*read), instance_text(sample_info()));
  EXPECT_FALSE(parse_instance("nonsense"));
}

TEST(InstanceFile, TheReadyFileHasTheKeysAndTheInstanceFileHasNot) {
  const std::string ready = ready_text(sample_info(), {"AKIA1", "secret"});
  EXPECT_EQ(
      ready,
      "{\"api_url\":\"http://127.0.0.1:3000\",\"dsql\":[{\"id\":\"abcdefghijklmnopqrstuvwxyz\","
      "\"endpoint\":\"abc.dsql.us-east-1.on.aws\",\"host\":\"127.0.0.1\",\"port\":5432,"
      "\"region\":\"us-east-1\"}],\"ca_file\":\"/d/ca/ca.pem\",\"access_key_id\":\"AKIA1\","
      "\"secret_access_key\":\"secret\",\"region\":\"us-east-1\",\"pid\":" +
          std::to_string(::getpid()) + "}\n");
  EXPECT_EQ(instance_text(sample_info()).find("secret"), std::string::npos);
}

TEST(InstanceFile, AFileThatNobodyStandsBehindIsNoInstance) {
  Folder folder;
  EXPECT_FALSE(find_instance(folder.path()));
  ASSERT_TRUE(base::write_file_atomically(folder.path() / "instance.json",
                                          instance_text(sample_info()), 0600));
  const auto gone = find_instance(folder.path());
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, base::Code::kUnavailable);
  const auto server = ControlServer::start(folder.path(), echo);
  ASSERT_TRUE(server);
  EXPECT_TRUE(find_instance(folder.path()));
}

TEST(InstanceFile, ClustersAndFunctionsAreChosenByEitherName) {
  InstanceInfo info = sample_info();
  EXPECT_TRUE(choose_cluster(info, ""));
  EXPECT_TRUE(choose_cluster(info, "Db"));
  EXPECT_TRUE(choose_cluster(info, "abcdefghijklmnopqrstuvwxyz"));
  EXPECT_EQ(choose_cluster(info, "X").error().message, "there is no cluster X; there are: Db");
  info.dsql.push_back({"b", "", "b.dsql.us-east-1.on.aws", "127.0.0.1", 5432, "us-east-1"});
  EXPECT_EQ(choose_cluster(info, "").error().message, "say which cluster by --cluster: Db, b");
  info.dsql.back().is_restored = true;
  EXPECT_EQ(choose_cluster(info, "")->logical_id, "Db");
  EXPECT_EQ(choose_cluster(info, "b")->endpoint, "b.dsql.us-east-1.on.aws");
  EXPECT_TRUE(parse_instance(instance_text(info))->dsql.back().is_restored);
  EXPECT_EQ(choose_function(info, "F")->name, "shop-F-1");
  EXPECT_EQ(choose_function(info, "shop-F-1")->logical_id, "F");
  EXPECT_FALSE(choose_function(info, "G"));
}

TEST(Ports, ABusyUsualPortIsReplacedAndSaid) {
  std::vector<std::uint16_t> tried;
  std::string said;
  const auto busy = [&](std::uint16_t port) -> base::Result<void> {
    tried.push_back(port);
    if (port == 3000) return base::Error{base::Code::kFailedPrecondition, "in use", {}};
    return {};
  };
  EXPECT_TRUE(
      start_on_port({{}, 3000, "HTTP"}, busy, [&](const std::string& text) { said = text; }));
  EXPECT_EQ(tried, (std::vector<std::uint16_t>{3000, 0}));
  EXPECT_EQ(said, "port 3000 is taken: HTTP gets a free one");
}

TEST(Ports, ABusyPortThatWasAskedForIsAnError) {
  int calls = 0;
  const auto busy = [&](std::uint16_t) -> base::Result<void> {
    ++calls;
    return base::Error{base::Code::kAlreadyExists, "in use", {}};
  };
  EXPECT_FALSE(start_on_port({std::uint16_t{3000}, 3000, "HTTP"}, busy, [](const std::string&) {}));
  EXPECT_EQ(calls, 1);
}

TEST(Ports, AnotherErrorIsNotABusyPort) {
  int calls = 0;
  const auto broken = [&](std::uint16_t) -> base::Result<void> {
    ++calls;
    return base::Error{base::Code::kIo, "broken", {}};
  };
  EXPECT_FALSE(start_on_port({{}, 3000, "HTTP"}, broken, [](const std::string&) {}));
  EXPECT_EQ(calls, 1);
}

TEST(Control, ARequestIsAnsweredByTheInstance) {
  Folder folder;
  auto server = ControlServer::start(
      folder.path(),
      [](const std::string& request, const ControlServer::Say&) { return "<" + request + ">"; });
  ASSERT_TRUE(server) << base::to_string(server.error());
  EXPECT_EQ(mode_of(folder.path() / "control.sock"), 0600u);
  const std::string big(9u << 20, 'x');
  EXPECT_EQ(ask_instance(folder.path(), "hello", std::chrono::seconds(10)).value_or(""), "<hello>");
  EXPECT_EQ(ask_instance(folder.path(), big, std::chrono::seconds(30)).value_or(""),
            "<" + big + ">");
}

TEST(Control, ADeepFolderWorks) {
  Folder folder;
  const fs::path deep = folder.path() / std::string(120, 'a') / std::string(120, 'b');
  fs::create_directories(deep);
  auto server = ControlServer::start(deep, echo);
  ASSERT_TRUE(server) << base::to_string(server.error());
  EXPECT_EQ(ask_instance(deep, "x", std::chrono::seconds(10)).value_or(""), "x");
}

TEST(Control, LinesMayComeBeforeTheAnswer) {
  Folder folder;
  auto server = ControlServer::start(folder.path(), [](const auto&, const ControlServer::Say& say) {
    EXPECT_TRUE(say("one"));
    EXPECT_TRUE(say("two"));
    return std::string("done");
  });
  ASSERT_TRUE(server);
  std::vector<std::string> lines;
  auto answer =
      follow_instance(folder.path(), "x", std::chrono::seconds(10), [&](const std::string& line) {
        lines.push_back(line);
        return line == "done";
      });
  ASSERT_TRUE(answer);
  EXPECT_EQ(*answer, "done");
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "done"}));
}

TEST(Control, AHandlerHearsThatWhoAskedIsGone) {
  Folder folder;
  std::promise<void> heard;
  auto server =
      ControlServer::start(folder.path(), [&](const auto&, const ControlServer::Say& say) {
        while (say("still at it")) {
        }
        heard.set_value();
        return std::string();
      });
  ASSERT_TRUE(server);
  // Gives up after the first line, which closes the connection.
  EXPECT_TRUE(follow_instance(folder.path(), "x", std::chrono::seconds(10),
                              [](const std::string&) { return true; }));
  EXPECT_EQ(heard.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

TEST(Control, NobodyThereIsUnavailable) {
  Folder folder;
  const auto answer = ask_instance(folder.path(), "x", std::chrono::seconds(1));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, base::Code::kUnavailable);
}

TEST(Control, StoppingWaitsForAHandlerAndRemovesTheSocket) {
  Folder folder;
  std::promise<void> entered;
  std::promise<void> go;
  auto server = ControlServer::start(folder.path(), [&](const std::string&, const auto&) {
    entered.set_value();
    go.get_future().wait();
    return std::string("late");
  });
  ASSERT_TRUE(server);
  std::thread client([&] { (void)ask_instance(folder.path(), "x", std::chrono::seconds(10)); });
  entered.get_future().wait();
  std::thread stopper([&] { server->reset(); });
  go.set_value();
  stopper.join();
  client.join();
  EXPECT_FALSE(fs::exists(folder.path() / "control.sock"));
}

TEST(Control, BadRequestsAreErrors) {
  for (const char* bad : {"", "x", "[]", "{", "1"}) EXPECT_FALSE(parse_control_request(bad)) << bad;
  const auto request = parse_control_request(control_text({"invoke", "F", "{\"a\": \"\\u0000\"}"}));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->payload, "{\"a\": \"\\u0000\"}");
}

}  // namespace
}  // namespace zorya::cli
