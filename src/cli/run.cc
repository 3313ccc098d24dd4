#include "cli/run.h"

#include "cli/control_messages.h"

#include <cstdio>

namespace zorya::cli {
namespace {

struct RunVerb {
  const Common& common;
  int operator()(const UpArguments& arguments) const { return run_up(common, arguments); }
  int operator()(const InvokeArguments& arguments) const { return run_invoke(common, arguments); }
  int operator()(const LogsArguments& arguments) const { return run_logs(common, arguments); }
  int operator()(const TracesArguments& arguments) const { return run_traces(common, arguments); }
  int operator()(const PsqlArguments& arguments) const { return run_psql(common, arguments); }
  int operator()(const TokenArguments& arguments) const { return run_token(common, arguments); }
  int operator()(const HostsArguments& arguments) const { return run_hosts(common, arguments); }
  int operator()(const StatusArguments& arguments) const { return run_status(common, arguments); }
  int operator()(const ForceArguments& arguments) const { return run_force(common, arguments); }
  int operator()(const BackupArguments& arguments) const { return run_backup(common, arguments); }
  int operator()(const RestoreArguments& arguments) const { return run_restore(common, arguments); }
  int operator()(const ResetArguments& arguments) const { return run_reset(common, arguments); }
};

}  // namespace

int fail(const Common& common, const base::Error& error) {
  if (common.json) {
    std::printf("%s\n", control_error(error).c_str());
  } else {
    std::fprintf(stderr, "zorya: %s\n", base::to_string(error).c_str());
  }
  return 1;
}

int run(int argc, char** argv) {
  const auto parsed = parse_arguments({argv + 1, argv + argc}, surroundings_of_process());
  if (const auto* usage = std::get_if<Usage>(&parsed)) {
    std::fputs(usage->text.c_str(), usage->exit_code == 0 ? stdout : stderr);
    return usage->exit_code;
  }
  const Command& command = std::get<Command>(parsed);
  return std::visit(RunVerb{command.common}, command.verb);
}

}  // namespace zorya::cli
