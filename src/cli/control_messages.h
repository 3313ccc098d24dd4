#pragma once

#include "base/result.h"
#include "cli/instance_file.h"
#include "cluster/client.h"
#include "function_host/client.h"
#include "router/router.h"
#include "telemetry/store.h"

#include <string>
#include <string_view>

namespace zorya::cli {

/// The lines of JSON that go over control.sock.
struct ControlRequest {
  std::string verb{};      // "status", "invoke", "force"
  std::string function{};  // "force": the cluster
  std::string payload{};
};

std::string control_text(const ControlRequest& request);
base::Result<ControlRequest> parse_control_request(std::string_view line);

std::string control_error(const base::Error& error);

struct StatusReport {
  InstanceInfo instance{};
  std::vector<cluster::ClusterInfo> clusters{};
  function_host::HostStatus host{};
  router::RouterStatus router{};
  telemetry::Counters telemetry{};
  std::vector<std::string> commit_paths{};  // JSON, for each of `clusters`
  bool forced_outcomes = false;
};
std::string status_text(const StatusReport& report);

std::string invoke_text(const function_host::InvokeResult& result);

/// The outcome's name: "ok", "function_error", "throttled", ….
std::string_view outcome_name(function_host::InvokeOutcome outcome);

}  // namespace zorya::cli
