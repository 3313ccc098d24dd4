#pragma once

#include "base/result.h"
#include "cli/arguments.h"

namespace zorya::cli {

/// The whole program: reads the arguments, runs the verb, answers the exit code (0 done, 1 failed,
/// 2 wrong arguments).
int run(int argc, char** argv);

int run_up(const Common& common, const UpArguments& arguments);
int run_invoke(const Common& common, const InvokeArguments& arguments);
int run_logs(const Common& common, const LogsArguments& arguments);
int run_traces(const Common& common, const TracesArguments& arguments);
int run_psql(const Common& common, const PsqlArguments& arguments);
int run_token(const Common& common, const TokenArguments& arguments);
int run_hosts(const Common& common, const HostsArguments& arguments);
int run_status(const Common& common, const StatusArguments& arguments);
int run_force(const Common& common, const ForceArguments& arguments);
int run_backup(const Common& common, const BackupArguments& arguments);
int run_restore(const Common& common, const RestoreArguments& arguments);
int run_reset(const Common& common, const ResetArguments& arguments);

/// Says the error on standard error ({"error", "hint"} under --json, on standard output) and
/// answers 1.
int fail(const Common& common, const base::Error& error);

}  // namespace zorya::cli
