#include "cli/arguments.h"

#include "cluster/client.h"
#include "query_processor/gate/limit_settings.h"

#include <CLI/CLI.hpp>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <sstream>

#ifndef ZORYA_VERSION
#define ZORYA_VERSION "0"
#endif

namespace zorya::cli {
namespace {

// "Name=value" of an option that may be given several times.
template <typename Value>
CLI::Option* add_pairs(CLI::App& verb, const std::string& name, std::map<std::string, Value>& into,
                       const std::string& help) {
  return verb
      .add_option_function<std::vector<std::string>>(
          name,
          [&into, name](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
              const std::size_t equals = text.find('=');
              if (equals == std::string::npos || equals == 0) {
                throw CLI::ValidationError(name, "'" + text + "' is not of the form NAME=VALUE");
              }
              into[text.substr(0, equals)] = text.substr(equals + 1);
            }
          },
          help)
      ->take_all();
}

CLI::Option* add_duration(CLI::App& verb, const std::string& name,
                          const std::function<void(std::chrono::seconds)>& take,
                          const std::string& help) {
  return verb.add_option_function<std::string>(
      name,
      [take, name](const std::string& text) {
        const auto duration = parse_duration(text);
        if (!duration)
          throw CLI::ValidationError(name, "'" + text + "' is no time such as 90s, 5m, 2h");
        take(*duration);
      },
      help);
}

// "tables_max=10", lower than the limit is.
void add_limits(CLI::App& verb, std::map<std::string, int>& limits) {
  const auto take = [&limits](const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      const std::size_t equals = std::min(text.find('='), text.size());
      const std::string name = text.substr(0, equals);
      const int maximum = up_limit_maximum(name);
      if (maximum == 0) {
        throw CLI::ValidationError("--limit", "there is no limit '" + name + "'; docs/limits.md");
      }
      int value = 0;
      const char* const end = text.data() + text.size();
      const auto [rest, error] =
          std::from_chars(std::min(text.data() + equals + 1, end), end, value);
      if (error != std::errc{} || rest != end || value < 1 || value > maximum) {
        throw CLI::ValidationError("--limit",
                                   "'" + text + "': a value from 1 to " + std::to_string(maximum));
      }
      limits[name] = value;
    }
  };
  verb.add_option_function<std::vector<std::string>>("--limit", take,
                                                     "Lower a limit of the database, for tests")
      ->take_all()
      ->type_name("NAME=VALUE");
}

// CloudFormation's rule.
bool is_stack_name(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && name.size() <= 128 && is_letter(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return is_letter(c) || c == '-' || (c >= '0' && c <= '9'); });
}

struct Options {
  std::string data;
  bool json = false;
  UpArguments up;
  InvokeArguments invoke;
  LogsArguments logs;
  TracesArguments traces;
  PsqlArguments psql;
  TokenArguments token;
  ForceArguments force;
  BackupArguments backup;
  RestoreArguments restore;
  ResetArguments reset;
};

void add_common(CLI::App& verb, Options& options) {
  verb.add_option("--data", options.data, "The instance's data folder")->type_name("DIR");
  verb.add_flag("--json", options.json, "Print JSON");
}

void add_up(CLI::App& app, Options& options) {
  CLI::App& verb = *app.add_subcommand("up", "Run a template: URLs, database, live reload");
  add_common(verb, options);
  UpArguments& up = options.up;
  verb.add_option("template", up.folder_or_template, "A folder with template.yaml, or the file")
      ->required()
      ->type_name("DIR|TEMPLATE");
  verb.add_option("--port", up.port, "HTTP port; 0: a free one (default 3000, else a free one)");
  verb.add_option("--dsql-port", up.dsql_port,
                  "Database port; 0: a free one (default 5432, else a free one)");
  verb.add_option("--ready-file", up.ready_file, "Written with addresses and keys when all is up");
  verb.add_option("--stack", up.stack, "The stack's name (default: the folder's)")
      ->check([](const std::string& name) {
        return is_stack_name(name) ? std::string{}
                                   : "'" + name + "' is not of the form [a-zA-Z][-a-zA-Z0-9]*";
      });
  add_pairs(verb, "--parameter", up.parameters, "Value of a template parameter")
      ->type_name("NAME=VALUE");
  add_pairs(verb, "--runtime", up.runtimes, "Interpreter of a runtime, as python3.12=/path")
      ->type_name("NAME=PATH");
  verb.add_flag("--nearest-runtime", up.nearest_runtime,
                "Take the nearest interpreter if the named one is not installed");
  verb.add_flag("!--no-cgroups", up.use_cgroups,
                "Do without control groups even where there are some");
  add_limits(verb, up.limits);
  verb.add_flag("--forced-outcomes", up.forced_outcomes,
                "Let tests force what commits end in (zorya force, schema zorya)");
}

void add_data_verbs(CLI::App& app, Options& options) {
  CLI::App& invoke = *app.add_subcommand("invoke", "Call a function of the running instance");
  add_common(invoke, options);
  invoke.add_option("function", options.invoke.function, "Name or logical id")->required();
  invoke.add_option("payload", options.invoke.payload, "JSON, @file, or - for standard input");
  invoke.add_flag("--log", options.invoke.show_log, "Show the end of the invoke's log");

  CLI::App& logs = *app.add_subcommand("logs", "Show functions' logs");
  add_common(logs, options);
  logs.add_option("function", options.logs.function, "Name or logical id (default: all)");
  logs.add_flag("-f,--follow", options.logs.follow, "Go on with what comes");
  add_duration(
      logs, "--since", [&](std::chrono::seconds since) { options.logs.since = since; },
      "Not older than, as 90s, 5m, 2h");
  logs.add_option("--filter", options.logs.filter, "Only lines that hold this text");
  logs.add_option("--limit", options.logs.limit, "At most so many lines, the newest")
      ->check(CLI::Range(1, 10000));

  CLI::App& traces = *app.add_subcommand("traces", "List traces, or show one as a tree");
  add_common(traces, options);
  traces.add_option("trace", options.traces.trace_id, "Trace id");
  traces.add_option("--limit", options.traces.limit, "At most so many, the newest")
      ->check(CLI::Range(1, 1000));
}

void add_database_verbs(CLI::App& app, Options& options) {
  CLI::App& psql = *app.add_subcommand("psql", "Open psql on a cluster of the running instance");
  add_common(psql, options);
  psql.add_option("--cluster", options.psql.cluster, "Id or logical id (default: the only one)");
  psql.add_option("arguments", options.psql.more, "Given to psql, after --");
  CLI::App& token = *app.add_subcommand("token", "Print a database token, which is the password");
  add_common(token, options);
  token.add_option("--cluster", options.token.cluster, "Id or logical id (default: the only one)");
  token.add_option("--role", options.token.role, "Database role (default admin)");
  add_duration(
      token, "--expires-in",
      [&](std::chrono::seconds lifetime) { options.token.lifetime = lifetime; },
      "Lifetime (default 15m, at most 7d)");
  CLI::App& hosts = *app.add_subcommand("hosts", "Print lines for /etc/hosts");
  add_common(hosts, options);
}

void add_force(CLI::App& app, Options& options) {
  CLI::App& verb = *app.add_subcommand("force", "Force what the next commits end in, for tests");
  add_common(verb, options);
  ForceArguments& force = options.force;
  verb.add_option("what", force.what, "An outcome of commits, or list, or reset")
      ->required()
      ->check(CLI::IsMember({"OC000", "OC001", "too-old", "drop", "list", "reset"}));
  verb.add_option("--table", force.table, "Only commits that touch it (default: any)");
  verb.add_option("--count", force.count, "How many commits (default 1)")
      ->check(CLI::Range(1, 1'000'000));
  verb.add_option(
          "--at", force.at,
          "Where drop ends the connection, or OC001 comes: at a statement (default before_verdict)")
      ->check(CLI::IsMember(
          {"statement", "before_verdict", "after_verdict", "after_apply", "after_flush"}));
  verb.add_option("--cluster", force.cluster, "Id or logical id (default: the only one)");
}

void add_copy_verbs(CLI::App& app, Options& options) {
  CLI::App& backup = *app.add_subcommand("backup", "Copy a cluster, which goes on, to a folder");
  add_common(backup, options);
  backup.add_option("cluster", options.backup.cluster, "Id or logical id (default: the only one)");
  backup.add_option("--to", options.backup.to, "A folder that is not there yet")
      ->required()
      ->type_name("FOLDER");
  CLI::App& restore = *app.add_subcommand("restore", "Make a new cluster of a backup");
  add_common(restore, options);
  restore.add_option("folder", options.restore.from, "The backup")->required()->type_name("FOLDER");
  restore.add_option("--id", options.restore.id, "The new cluster's id (default: a fresh one)")
      ->check([](const std::string& id) {
        return cluster::is_cluster_id(id)
                   ? std::string{}
                   : "'" + id + "' is no cluster id: 26 characters of a-z and 0-9";
      });
}

std::filesystem::path absolute_path(const std::filesystem::path& path) {
  std::filesystem::path whole = std::filesystem::absolute(path).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();  // without a slash at its end
}

void add_instance_verbs(CLI::App& app, Options& options) {
  CLI::App& status = *app.add_subcommand("status", "Show what runs and how");
  add_common(status, options);
  CLI::App& reset = *app.add_subcommand("reset", "Remove everything that the instance made");
  add_common(reset, options);
  reset.add_flag("-y,--yes", options.reset.yes, "Do not ask");
}

Verb chosen_verb(const std::string& name, Options&& options) {
  if (name == "up") return std::move(options.up);
  if (name == "invoke") return std::move(options.invoke);
  if (name == "logs") return std::move(options.logs);
  if (name == "traces") return std::move(options.traces);
  if (name == "psql") return std::move(options.psql);
  if (name == "token") return std::move(options.token);
  if (name == "hosts") return HostsArguments{};
  if (name == "status") return StatusArguments{};
  if (name == "force") return std::move(options.force);
  if (name == "backup") {
    options.backup.to = absolute_path(options.backup.to);
    return std::move(options.backup);
  }
  if (name == "restore") {
    options.restore.from = absolute_path(options.restore.from);
    return std::move(options.restore);
  }
  return options.reset;
}

}  // namespace

Surroundings surroundings_of_process() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  return {::geteuid() == 0, variable("HOME"), variable("XDG_DATA_HOME")};
}

std::filesystem::path default_data_folder(const Surroundings& surroundings) {
  if (surroundings.is_root) return "/var/lib/zorya";
  if (surroundings.xdg_data_home.starts_with('/')) {
    return std::filesystem::path(surroundings.xdg_data_home) / "zorya";
  }
  return std::filesystem::path(surroundings.home) / ".local/share/zorya";
}

int up_limit_maximum(std::string_view name) {
  if (const auto* setting = query_processor::gate::limit_setting(name)) return setting->maximum;
  for (const UpLimit& limit : kMoreUpLimits) {
    if (limit.name == name) return limit.maximum;
  }
  return 0;
}

std::optional<std::chrono::seconds> parse_duration(std::string_view text) {
  long count = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || count <= 0 || count > 100'000'000) return std::nullopt;
  const std::string_view unit(rest, static_cast<std::size_t>(text.data() + text.size() - rest));
  if (unit.empty() || unit == "s") return std::chrono::seconds(count);
  if (unit == "m") return std::chrono::minutes(count);
  if (unit == "h") return std::chrono::hours(count);
  if (unit == "d") return std::chrono::hours(24 * count);
  return std::nullopt;
}

std::variant<Command, Usage> parse_arguments(const std::vector<std::string>& arguments,
                                             const Surroundings& surroundings) {
  CLI::App app{"Zorya runs functions and a DSQL-compatible database from one SAM template",
               "zorya"};
  app.set_version_flag("--version", "zorya " ZORYA_VERSION);
  app.require_subcommand(1);
  Options options;
  add_up(app, options);
  add_data_verbs(app, options);
  add_database_verbs(app, options);
  add_force(app, options);
  add_copy_verbs(app, options);
  add_instance_verbs(app, options);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    const int code = app.exit(error, out, out);
    return Usage{code == 0 ? 0 : 2, out.str()};
  } catch (const std::exception& error) {
    return Usage{2, std::string(error.what()) + "\n"};
  }
  Common common{options.data.empty() ? default_data_folder(surroundings)
                                     : std::filesystem::absolute(options.data).lexically_normal(),
                options.json};
  const std::string name = app.get_subcommands().front()->get_name();
  return Command{std::move(common), chosen_verb(name, std::move(options))};
}

}  // namespace zorya::cli
