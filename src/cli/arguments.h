#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace zorya::cli {

/// A limit that `up --limit` can lower. Those of the extension are
/// query_processor/gate/limit_settings.h's.
struct UpLimit {
  std::string_view name;
  int maximum;
};
inline constexpr std::array<UpLimit, 4> kMoreUpLimits = {{
    {"temp_kib_max", 131'072},        // temporary space of a query
    {"message_bytes_max", 10 << 20},  // one message of a client
    {"connections_max", 10'000},      // of a cluster
    {"connection_life_s_max", 3600},
}};
/// The largest value of the limit of that name; 0 if there is none.
int up_limit_maximum(std::string_view name);

/// What every verb takes.
struct Common {
  std::filesystem::path data_folder;  // resolved: --data or the default
  bool json = false;
};

struct UpArguments {
  std::filesystem::path folder_or_template;
  std::string stack{};  // empty: named for the folder
  std::map<std::string, std::string> parameters{};
  std::optional<std::uint16_t> port{};       // not given: 3000, or a free one if that is taken
  std::optional<std::uint16_t> dsql_port{};  // not given: 5432, or a free one if that is taken
  std::filesystem::path ready_file{};
  std::map<std::string, std::filesystem::path> runtimes{};
  bool nearest_runtime = false;
  bool use_cgroups = true;
  std::map<std::string, int> limits{};  // lowered for tests: by name
  bool forced_outcomes = false;         // sessions may force what commits end in
};

struct InvokeArguments {
  std::string function{};  // name or logical id
  std::string payload{};   // JSON; "@file" reads a file, "-" standard input
  bool show_log = false;
};

struct LogsArguments {
  std::string function{};  // empty: all
  bool follow = false;
  std::optional<std::chrono::seconds> since{};
  std::string filter{};
  std::size_t limit = 1000;
};

struct TracesArguments {
  std::string trace_id{};  // empty: the list
  std::size_t limit = 20;
};

struct PsqlArguments {
  std::string cluster{};            // id or logical id; empty: the only one
  std::vector<std::string> more{};  // given to psql as they are
};

struct TokenArguments {
  std::string cluster{};
  std::string role = "admin";
  std::chrono::seconds lifetime{900};
};

struct HostsArguments {};
struct StatusArguments {};

/// `what`: "OC000", "OC001", "too-old", "drop", "list" or "reset".
struct ForceArguments {
  std::string cluster{};  // id or logical id; empty: the only one
  std::string what{};
  std::string table{};                // empty: any
  std::string at = "before_verdict";  // of "drop", and "statement" of "OC001"
  std::int64_t count = 1;
};

struct BackupArguments {
  std::string cluster{};       // id or logical id; empty: the only one
  std::filesystem::path to{};  // absolute
};

struct RestoreArguments {
  std::filesystem::path from{};  // absolute
  std::string id{};              // of the new cluster; empty: a fresh one
};

struct ResetArguments {
  bool yes = false;
};

using Verb = std::variant<UpArguments, InvokeArguments, LogsArguments, TracesArguments,
                          PsqlArguments, TokenArguments, HostsArguments, StatusArguments,
                          ForceArguments, BackupArguments, RestoreArguments, ResetArguments>;

struct Command {
  Common common;
  Verb verb;
};

/// Nothing to run: a help or version text was asked for (0), or the arguments are wrong (2).
struct Usage {
  int exit_code = 0;
  std::string text{};
};

/// What the environment says about where things are; an argument so that tests can choose.
struct Surroundings {
  bool is_root = false;
  std::string home{};           // $HOME
  std::string xdg_data_home{};  // $XDG_DATA_HOME
};

Surroundings surroundings_of_process();

/// /var/lib/zorya as root, else $XDG_DATA_HOME/zorya, else ~/.local/share/zorya. Relative values of
/// XDG_DATA_HOME do not count, as its specification says.
std::filesystem::path default_data_folder(const Surroundings& surroundings);

std::variant<Command, Usage> parse_arguments(const std::vector<std::string>& arguments,
                                             const Surroundings& surroundings);

/// "90", "90s", "5m", "2h", "1d".
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

}  // namespace zorya::cli
