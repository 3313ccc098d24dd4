#include "cli/render.h"

#include "cli/process_tree.h"
#include "cli/steps.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>

namespace zorya::cli {
namespace {

using std::chrono::milliseconds;

const std::chrono::system_clock::time_point kTime{milliseconds(1'795'661'425'123)};

telemetry::Segment segment(const std::string& name, int start_ms, int end_ms) {
  telemetry::Segment one;
  one.trace_id = "1-00000000-000000000000000000000000";
  one.name = name;
  one.start = kTime + milliseconds(start_ms);
  one.end = kTime + milliseconds(end_ms);
  return one;
}

TEST(Render, ALogLineCannotSteerTheTerminal) {
  EXPECT_EQ(log_line({kTime, "/aws/lambda/shop-F", "2026/11/26/[3]abcdef", "a\x1b[31m\tb\nc"}),
            "2026-11-26T02:50:25.123Z shop-F [3] a?[31m\tb?c");
  EXPECT_EQ(log_line({kTime, "/my/group", "odd", "m"}), "2026-11-26T02:50:25.123Z /my/group  m");
}

TEST(Render, ATraceIsATreeWithTimes) {
  telemetry::Segment root = segment("shop/Prod", 0, 20);
  root.origin = "AWS::ApiGateway::Stage";
  root.http_method = "GET";
  root.http_url = "/todos";
  root.http_status = 200;
  root.children = {segment("shop-F", 2, 18)};
  root.children[0].fault = true;
  EXPECT_EQ(trace_tree({root}),
            "1-00000000-000000000000000000000000  2026-11-26T02:50:25.123Z\n"
            "     +0.0 ms     20.0 ms  shop/Prod (AWS::ApiGateway::Stage) GET /todos 200\n"
            "     +2.0 ms     16.0 ms    shop-F fault\n");
  EXPECT_EQ(trace_tree({}), "");
}

TEST(Render, APsqlLineIsQuotedForTheShellAndForLibpq) {
  const ReachableCluster cluster{"id1",       "Db", "id1.dsql.us-east-1.on.aws",
                                 "127.0.0.1", 5433, "us-east-1"};
  EXPECT_EQ(
      psql_line(cluster, "/my data/ca.pem", {"/bin/zorya", "/my data", false}),
      "PGPASSWORD=\"$(/bin/zorya token --data '/my data' --cluster id1)\" psql "
      "'host=id1.dsql.us-east-1.on.aws hostaddr=127.0.0.1 port=5433 user=admin dbname=postgres "
      "sslmode=verify-full sslrootcert='\\''/my data/ca.pem'\\'''");
  EXPECT_EQ(psql_line(cluster, "/d/ca.pem", {"/bin/zorya", "/d", true}).find("--data"),
            std::string::npos);
}

TEST(Render, ShellWordsComeBackWhole) {
  for (const std::string text :
       {"plain", "", "two words", "a'b", "$HOME `x` \"q\"", "/path/x-1.2"}) {
    std::FILE* pipe = ::popen(("printf %s " + shell_word(text)).c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    char buffer[256];
    const std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe);
    ::pclose(pipe);
    EXPECT_EQ(std::string(buffer, got), text);
  }
}

TEST(Render, HostsLinesAreForEtcHosts) {
  InstanceInfo info;
  info.dsql = {{"a", "", "a.dsql.us-east-1.on.aws", "127.0.0.1", 1, ""}};
  EXPECT_EQ(hosts_lines(info), "127.0.0.1 a.dsql.us-east-1.on.aws\n");
}

TEST(Render, StatusSaysThatNothingListensForAwsApis) {
  const std::string text = status_lines(
      "{\"instance\":{\"pid\":7,\"stack\":\"s\",\"api_url\":\"http://"
      "x\"},\"clusters\":[{\"id\":\"c\","
      "\"state\":\"ACTIVE\",\"endpoint\":\"e\"}],\"isolation\":\"L3\",\"cgroups\":true}",
      5u << 20);
  EXPECT_NE(text.find("nothing listens on 4566 yet"), std::string::npos);
  EXPECT_NE(text.find("isolation   L3, control groups: yes"), std::string::npos);
  EXPECT_NE(text.find("memory      5 MiB"), std::string::npos);
}

TEST(Render, StatusTellsHowCommitsFare) {
  const std::string text = status_lines(
      R"({"forced_outcomes":true,"sessions":{"open":1,"refused":2,"told":5,"backends_lost":7},"clusters":[{"id":"c","state":"ACTIVE","endpoint":"e","commit_path":{
        "figures":{"committed":12,"conflicts":3,"apply_failures":0,"recent_keys":7,"recent_keys_bytes":4096,
          "wounds_rolled_back":2,"wounds_copy_failed":0,"wounds_cancelled":1,"wounds_terminated":1,"wounds_aged":3,
          "waits_at_bound":6},
        "conflicts":[{"table_name":"public.t","kind":"key","conflicts":1},
                     {"table_name":"public.t","kind":"row","conflicts":2},
                     {"table_name":null,"kind":"schema","conflicts":1}],
        "times":[{"part":"verdict","below_us":1,"commits":9},{"part":"verdict","below_us":4,"commits":3},
                 {"part":"flush","below_us":2048,"commits":11},{"part":"flush","below_us":null,"commits":1}]}},
       {"id":"d","state":"ACTIVE","endpoint":"e","commit_path":{"reason":"asleep"}},
       {"id":"f","state":"INACTIVE","endpoint":"e","commit_path":null}]})",
      0);
  EXPECT_NE(text.find("12 committed, 3 conflicts, heap disagreed 0 times, 7 recent keys in 4 KiB"),
            std::string::npos);
  EXPECT_NE(text.find("conflicts public.t row 2, public.t key 1, ? schema 1\n"), std::string::npos);
  EXPECT_NE(
      text.find("verdict < 1 us, 99 % < 4 us; apply -, 99 % -; flush < 2.0 ms, 99 % over 33 s"),
      std::string::npos);
  EXPECT_NE(text.find("wounds    4 by schema changes, 3 by age; 6 waits met the bound\n"),
            std::string::npos);
  EXPECT_NE(text.find("1 open, 2 refused, 5 told of a transaction ended from outside, 7 backends"),
            std::string::npos);
  EXPECT_NE(text.find("not known: asleep"), std::string::npos);
  EXPECT_NE(text.find("outcomes can be forced"), std::string::npos);
}

TEST(Render, ForcedOutcomesAreLines) {
  EXPECT_EQ(forced_lines("{\"id\":4}"), "forced, number 4\n");
  EXPECT_EQ(forced_lines("{\"forgotten\":2}"), "forgotten: 2\n");
  EXPECT_EQ(forced_lines("{\"forced\":[]}"), "nothing is forced\n");
  const std::string text = forced_lines(
      R"({"forced":[{"id":1,"outcome":"OC000","at_point":"before_verdict","of_table":"t","asked":3,"fired":2},
                    {"id":2,"outcome":"aged","at_point":null,"of_table":null,"asked":1,"fired":1}]})");
  EXPECT_NE(text.find("OC000   before_verdict  t"), std::string::npos);
  EXPECT_NE(text.find("fired 2 of 3\n"), std::string::npos);
  EXPECT_NE(text.find("any table"), std::string::npos);
}

TEST(Render, DurationsHaveTheUnitThatFits) {
  EXPECT_EQ(duration_text(milliseconds(5)), "5 ms");
  EXPECT_EQ(duration_text(milliseconds(420)), "0.42 s");
  EXPECT_EQ(duration_text(milliseconds(12'340)), "12.3 s");
}

std::string printed(Steps::Form form, const std::function<void(Steps&)>& use) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* out = ::open_memstream(&text, &size);
  {
    Steps steps(form, out);
    use(steps);
  }
  std::fclose(out);
  std::string result(text, size);
  std::free(text);
  return result;
}

TEST(Steps, EachStepIsALineWithItsTime) {
  const auto use = [](Steps& steps) {
    steps.begin("make").done("made");
    steps.begin("break").failed("it \"fell\"");
    steps.say("note", "text");
  };
  const std::string text = printed(Steps::Form::kText, use);
  EXPECT_TRUE(text.starts_with("  ✓ make: made  (")) << text;
  EXPECT_NE(text.find("  ✗ break: it \"fell\"  ("), std::string::npos);
  EXPECT_TRUE(text.ends_with("  note: text\n"));
  const std::string json = printed(Steps::Form::kJson, use);
  EXPECT_NE(
      json.find("{\"step\":\"break\",\"state\":\"failed\",\"detail\":\"it \\\"fell\\\"\",\"ms\":"),
      std::string::npos);
}

TEST(Steps, AReaderThatStallsHoldsNothingUp) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::FILE* out = ::fdopen(ends[1], "w");
  {
    Steps steps(Steps::Form::kText, out);
    const std::string line(Steps::kLineBytesMax, 'x');
    int written = 0;
    while (steps.is_writable() && written < 1000) {
      steps.line(line);
      ++written;
    }
    ASSERT_LT(written, 1000);
    steps.line("lost");  // returns
    std::string got(1u << 20, '\0');
    ASSERT_GT(::read(ends[0], got.data(), got.size()), 0);
    steps.line("read again");
    got.resize(
        static_cast<std::size_t>(std::max<ssize_t>(0, ::read(ends[0], got.data(), got.size()))));
    EXPECT_EQ(got, "  note: 1 lines were lost as nobody read them\nread again\n");
  }
  std::fclose(out);
  ::close(ends[0]);
}

TEST(ProcessTree, HoldsOurselvesAndOurChildren) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const auto tree = process_tree(::getpid());
  EXPECT_NE(std::find(tree.begin(), tree.end(), ::getpid()), tree.end());
  EXPECT_NE(std::find(tree.begin(), tree.end(), child), tree.end());
  EXPECT_GT(memory_of({::getpid()}), 100'000u);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace zorya::cli
