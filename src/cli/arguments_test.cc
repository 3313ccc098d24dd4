#include "cli/arguments.h"

#include "cli/database_control.h"

#include <gtest/gtest.h>

namespace zorya::cli {
namespace {

constexpr auto kUser = [] { return Surroundings{false, "/home/u", ""}; };

std::variant<Command, Usage> parse(std::vector<std::string> arguments) {
  return parse_arguments(arguments, kUser());
}

template <typename Verb>
Verb verb_of(std::vector<std::string> arguments) {
  auto parsed = parse(std::move(arguments));
  if (const auto* usage = std::get_if<Usage>(&parsed)) {
    ADD_FAILURE() << usage->text;
    return {};
  }
  return std::get<Verb>(std::get<Command>(parsed).verb);
}

int exit_code_of(std::vector<std::string> arguments) {
  auto parsed = parse(std::move(arguments));
  return std::holds_alternative<Usage>(parsed) ? std::get<Usage>(parsed).exit_code : -1;
}

TEST(Arguments, TheDefaultDataFolderFollowsTheUser) {
  EXPECT_EQ(default_data_folder({true, "/root", ""}), "/var/lib/zorya");
  EXPECT_EQ(default_data_folder({false, "/home/u", ""}), "/home/u/.local/share/zorya");
  EXPECT_EQ(default_data_folder({false, "/home/u", "/data"}), "/data/zorya");
  EXPECT_EQ(default_data_folder({false, "/home/u", "relative"}), "/home/u/.local/share/zorya");
}

TEST(Arguments, UpReadsAllItsOptions) {
  const auto up =
      verb_of<UpArguments>({"up", "dir", "--port", "0", "--dsql-port", "6000", "--ready-file",
                            "r.json", "--stack", "s", "--parameter", "A=1", "--parameter", "B=x=y",
                            "--runtime", "python3.12=/p", "--nearest-runtime", "--no-cgroups"});
  EXPECT_EQ(up.folder_or_template, "dir");
  EXPECT_EQ(up.port, 0);
  EXPECT_EQ(up.dsql_port, 6000);
  EXPECT_EQ(up.ready_file, "r.json");
  EXPECT_EQ(up.stack, "s");
  EXPECT_EQ(up.parameters, (std::map<std::string, std::string>{{"A", "1"}, {"B", "x=y"}}));
  EXPECT_EQ(up.runtimes.at("python3.12"), "/p");
  EXPECT_TRUE(up.nearest_runtime);
  EXPECT_FALSE(up.use_cgroups);
}

TEST(Arguments, ForceNamesAnOutcomeAndItsCommits) {
  const auto force = verb_of<ForceArguments>(
      {"force", "drop", "--at", "after_flush", "--table", "t", "--count", "3", "--cluster", "C"});
  EXPECT_EQ(force.what, "drop");
  EXPECT_EQ(force.at, "after_flush");
  EXPECT_EQ(force.table, "t");
  EXPECT_EQ(force.count, 3);
  EXPECT_EQ(force.cluster, "C");
  EXPECT_EQ(verb_of<ForceArguments>({"force", "OC000"}).count, 1);
  EXPECT_EQ(exit_code_of({"force"}), 2);
  EXPECT_EQ(exit_code_of({"force", "OC002"}), 2);
  EXPECT_EQ(exit_code_of({"force", "OC000", "--count", "0"}), 2);
  EXPECT_EQ(exit_code_of({"force", "drop", "--at", "noon"}), 2);
  EXPECT_FALSE(verb_of<UpArguments>({"up", "dir"}).forced_outcomes);
  EXPECT_TRUE(verb_of<UpArguments>({"up", "dir", "--forced-outcomes"}).forced_outcomes);
}

TEST(Arguments, UpLowersLimitsAndRaisesNone) {
  const auto up = verb_of<UpArguments>(
      {"up", "d", "--limit", "tables_max=3", "--limit", "message_bytes_max=4096"});
  EXPECT_EQ(up.limits,
            (std::map<std::string, int>{{"tables_max", 3}, {"message_bytes_max", 4096}}));
  EXPECT_EQ(verb_of<UpArguments>({"up", "d", "--limit", "transaction_rows_max=3000"}).limits.size(),
            1u);
  for (const char* wrong :
       {"tables_max", "tables_max=", "tables_max=0", "tables_max=1001", "nothing=1", "=1",
        "tables_max=3x", "tables_max=99999999999", "connections_max=10001"}) {
    EXPECT_EQ(exit_code_of({"up", "d", "--limit", wrong}), 2) << wrong;
  }
}

TEST(Force, ARequestIsTheSameAfterTheSocket) {
  const auto sent = verb_of<ForceArguments>(
      {"force", "drop", "--at", "after_flush", "--table", "a\"b", "--count", "3"});
  const auto got = parse_force(force_text(sent));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->what, "drop");
  EXPECT_EQ(got->at, "after_flush");
  EXPECT_EQ(got->table, "a\"b");
  EXPECT_EQ(got->count, 3);
  EXPECT_FALSE(parse_force("[]"));
  EXPECT_FALSE(parse_force("{"));
  EXPECT_EQ(parse_force("{\"count\":\"x\"}")->count, 1);
}

TEST(Arguments, UpLeavesPortsOpenWhenNoneAreAskedFor) {
  const auto up = verb_of<UpArguments>({"up", "dir"});
  EXPECT_FALSE(up.port.has_value());
  EXPECT_FALSE(up.dsql_port.has_value());
  EXPECT_TRUE(up.use_cgroups);
}

TEST(Arguments, EveryVerbTakesDataAndJson) {
  for (const std::vector<std::string>& verb :
       std::vector<std::vector<std::string>>{{"up", "d"},
                                             {"invoke", "f"},
                                             {"logs"},
                                             {"traces"},
                                             {"psql"},
                                             {"token"},
                                             {"hosts"},
                                             {"status"},
                                             {"backup", "--to", "b"},
                                             {"restore", "b"},
                                             {"reset"}}) {
    std::vector<std::string> arguments = verb;
    arguments.insert(arguments.end(), {"--data", "/d", "--json"});
    const auto parsed = parse(arguments);
    ASSERT_TRUE(std::holds_alternative<Command>(parsed)) << verb[0];
    EXPECT_EQ(std::get<Command>(parsed).common.data_folder, "/d") << verb[0];
    EXPECT_TRUE(std::get<Command>(parsed).common.json) << verb[0];
  }
}

TEST(Arguments, PsqlGivesOnWhatStandsBehindTheDashes) {
  const auto psql =
      verb_of<PsqlArguments>({"psql", "--cluster", "c", "--", "-c", "SELECT 1", "--csv"});
  EXPECT_EQ(psql.cluster, "c");
  EXPECT_EQ(psql.more, (std::vector<std::string>{"-c", "SELECT 1", "--csv"}));
}

TEST(Arguments, AFolderForACopyIsMadeAbsolute) {
  // A running instance works elsewhere.
  EXPECT_EQ(verb_of<BackupArguments>({"backup", "Db", "--to", "x/../b/"}).to,
            std::filesystem::current_path() / "b");
  EXPECT_EQ(verb_of<BackupArguments>({"backup", "Db", "--to", "/b"}).cluster, "Db");
  const auto restore =
      verb_of<RestoreArguments>({"restore", "/b", "--id", "abcdefghijklmnopqrstuvwxyz"});
  EXPECT_EQ(restore.from, "/b");
  EXPECT_EQ(restore.id, "abcdefghijklmnopqrstuvwxyz");
}

TEST(Arguments, DurationsAreReadWithTheirUnits) {
  EXPECT_EQ(parse_duration("90"), std::chrono::seconds(90));
  EXPECT_EQ(parse_duration("5m"), std::chrono::minutes(5));
  EXPECT_EQ(parse_duration("2h"), std::chrono::hours(2));
  EXPECT_EQ(parse_duration("1d"), std::chrono::hours(24));
  for (const char* wrong : {"", "s", "5x", "-5s", "0", "1.5h", "99999999999"}) {
    EXPECT_FALSE(parse_duration(wrong).has_value()) << wrong;
  }
  EXPECT_EQ(verb_of<TokenArguments>({"token", "--expires-in", "1h"}).lifetime,
            std::chrono::hours(1));
  EXPECT_EQ(verb_of<LogsArguments>({"logs", "--since", "10m"}).since, std::chrono::minutes(10));
}

TEST(Arguments, WrongOnesAreRefusedWithCodeTwo) {
  EXPECT_EQ(exit_code_of({}), 2);
  EXPECT_EQ(exit_code_of({"fly"}), 2);
  EXPECT_EQ(exit_code_of({"up"}), 2);
  EXPECT_EQ(exit_code_of({"up", "d", "--port", "70000"}), 2);
  EXPECT_EQ(exit_code_of({"up", "d", "--port", "x"}), 2);
  EXPECT_EQ(exit_code_of({"up", "d", "--parameter", "A"}), 2);
  EXPECT_EQ(exit_code_of({"up", "d", "--colour"}), 2);
  EXPECT_EQ(exit_code_of({"up", "d", "--stack", "a b"}), 2);
  EXPECT_EQ(exit_code_of({"up", "d", "--stack", "1st"}), 2);
  EXPECT_EQ(exit_code_of({"logs", "--since", "soon"}), 2);
  EXPECT_EQ(exit_code_of({"logs", "--limit", "0"}), 2);
  EXPECT_EQ(exit_code_of({"backup"}), 2);
  EXPECT_EQ(exit_code_of({"restore"}), 2);
  EXPECT_EQ(exit_code_of({"restore", "b", "--id", "../../etc"}), 2);
  EXPECT_EQ(exit_code_of({"--help"}), 0);
  EXPECT_EQ(exit_code_of({"--version"}), 0);
}

}  // namespace
}  // namespace zorya::cli
