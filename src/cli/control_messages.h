#pragma once

#include "base/result.h"
#include "cli/instance_file.h"
#include "cluster/client.h"
#include "function_host/client.h"
#include "router/router.h"
#include "telemetry/store.h"

#include <optional>
#include <string>
#include <string_view>

namespace zorya::cli {

/// The lines of JSON that go over control.sock.
struct ControlRequest {
  std::string verb{};      // "status", "invoke", "force", "backup", "restore"
  std::string function{};  // "force": the cluster
  std::string payload{};
  std::string cluster{};  // name of the one to copy, or id of the one to make; may be empty
  std::string folder{};   // absolute
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

/// A line before the answer: {"progress": {"step", "done_bytes", "total_bytes"}}.
std::string progress_text(const cluster::CopyProgress& progress);
/// Nothing if the line is an answer. `step` of the result lies in `*step`.
std::optional<cluster::CopyProgress> parse_progress(std::string_view line, std::string* step);

/// What a backup, or a restore, has made.
struct CopyReport {
  std::string cluster{};  // that was copied, or made
  std::string endpoint{};
  std::string folder{};  // the backup
  std::string made_at{};
  std::string postgresql{};
  std::uint64_t size_bytes = 0;
};
std::string copy_text(const CopyReport& report);
base::Result<CopyReport> parse_copy(std::string_view line);

std::string invoke_text(const function_host::InvokeResult& result);

/// The outcome's name: "ok", "function_error", "throttled", ….
std::string_view outcome_name(function_host::InvokeOutcome outcome);

}  // namespace zorya::cli
