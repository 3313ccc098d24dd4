#pragma once

#include "base/launcher.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "function_host/client.h"
#include "telemetry/sink.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace zorya::function_host {

/// kAuto: as root, if a memory and a pids controller can be written; kOff: never.
enum class CgroupMode { kAuto, kOff };

struct Options {
  std::filesystem::path data_folder;     // functions/ is made under it
  std::filesystem::path library_folder;  // tinit, libzorya_clone.so, the shims
  base::Launcher* launcher = nullptr;    // both outlive the host
  telemetry::Sink* sink = nullptr;

  /// Credentials of a function's role. Called on the host's thread; must not block.
  std::function<Credentials(const std::string& role_arn)> credentials;
  /// Takes a connection that a function made to <anything>.dsql.<region>.on.aws:5432. `origin`
  /// names the function and version, for logs; `lease` is kept as long as the connection is open.
  /// Called on the host's thread; must not block.
  std::function<void(base::UniqueFd connection, std::string origin, std::shared_ptr<void> lease)>
      on_database_connection;
  /// Open at once, of one environment. The service gives an environment this many descriptors.
  int database_connections_max = 1024;

  std::string region = "us-east-1";
  std::string account = "000000000000";
  std::filesystem::path ca_bundle;  // PEM: the authorities that a function trusts

  int concurrency_max = 100;            // environments that exist at once, parked ones apart
  int parked_ahead = 2;                 // clones kept ready per SnapStart version
  std::chrono::seconds idle_time{600};  // an idle environment older than this is ended
  std::map<std::string, std::filesystem::path> interpreters;  // --runtime python3.12=/path
  bool nearest_runtime = false;                               // --nearest-runtime
  CgroupMode cgroups = CgroupMode::kAuto;
};

/// Starts the host's thread. Fails if this machine cannot isolate an environment (no user
/// namespaces), and says what to change.
base::Result<std::unique_ptr<FunctionHost>> make_host(Options options);

}  // namespace zorya::function_host
