#include "cli/control_messages.h"

#include "base/json_fields.h"

#include <boost/json.hpp>

namespace zorya::cli {
namespace {

namespace json = boost::json;
using base::number_of;
using base::text_of;

std::string_view version_state(function_host::VersionState state) {
  switch (state) {
    case function_host::VersionState::kPending:
      return "Pending";
    case function_host::VersionState::kActive:
      return "Active";
    case function_host::VersionState::kFailed:
      return "Failed";
  }
  return "?";
}

json::object cluster_object(const cluster::ClusterInfo& cluster) {
  return {{"id", cluster.id},         {"endpoint", cluster.endpoint},
          {"arn", cluster.arn},       {"state", cluster::state_name(cluster.state)},
          {"reason", cluster.reason}, {"postmaster_pid", cluster.postmaster_pid}};
}

json::value parsed_or_null(const std::string& text) {
  json::error_code error;
  json::value value = json::parse(text, error);
  return error ? json::value() : value;
}

json::object version_object(const function_host::VersionInfo& version) {
  return {{"function", version.function},
          {"version", version.version},
          {"state", version_state(version.state)},
          {"state_reason", version.state_reason},
          {"state_reason_code", version.state_reason_code},
          {"restore_path", version.restore_path},
          {"restore_reason", version.restore_reason},
          {"init_ms", version.init_duration.count()}};
}

}  // namespace

std::string control_text(const ControlRequest& request) {
  return json::serialize(json::object{{"verb", request.verb},
                                      {"function", request.function},
                                      {"payload", request.payload},
                                      {"cluster", request.cluster},
                                      {"folder", request.folder}});
}

base::Result<ControlRequest> parse_control_request(std::string_view line) {
  json::error_code error;
  const json::value value = json::parse({line.data(), line.size()}, error);
  if (error || !value.is_object()) {
    return base::Error{base::Code::kInvalidArgument, "a control request must be a JSON object", {}};
  }
  const json::object& object = value.as_object();
  return ControlRequest{text_of(object, "verb"), text_of(object, "function"),
                        text_of(object, "payload"), text_of(object, "cluster"),
                        text_of(object, "folder")};
}

std::string control_error(const base::Error& error) {
  return json::serialize(json::object{{"error", error.message}, {"hint", error.hint}});
}

std::string status_text(const StatusReport& report) {
  json::array clusters;
  for (std::size_t i = 0; i < report.clusters.size(); ++i) {
    json::object cluster = cluster_object(report.clusters[i]);
    cluster["commit_path"] =
        i < report.commit_paths.size() ? parsed_or_null(report.commit_paths[i]) : json::value();
    clusters.push_back(std::move(cluster));
  }
  json::array versions;
  for (const auto& version : report.host.versions) versions.push_back(version_object(version));
  const telemetry::Counters& counters = report.telemetry;
  return json::serialize(
      json::object{{"instance", json::parse(instance_text(report.instance))},
                   {"clusters", std::move(clusters)},
                   {"functions", std::move(versions)},
                   {"forced_outcomes", report.forced_outcomes},
                   {"environments",
                    {{"idle", report.host.environments_idle},
                     {"busy", report.host.environments_busy},
                     {"parked", report.host.environments_parked}}},
                   {"isolation", report.host.isolation},
                   {"cgroups", report.host.cgroups},
                   {"sessions",
                    {{"open", report.router.sessions},
                     {"half_open", report.router.half_open},
                     {"accepted", report.router.accepted},
                     {"refused", report.router.refused},
                     {"told", report.router.losses.told},
                     {"backends_lost", report.router.losses.backends_lost}}},
                   {"telemetry",
                    {{"logs", counters.logs_written},
                     {"segments", counters.segments_written},
                     {"dropped", counters.dropped_queue_full + counters.dropped_write_failed}}},
                   {"aws_endpoint", nullptr}});
}

std::string progress_text(const cluster::CopyProgress& progress) {
  return json::serialize(json::object{{"progress",
                                       {{"step", progress.step},
                                        {"done_bytes", progress.done_bytes},
                                        {"total_bytes", progress.total_bytes}}}});
}

std::optional<cluster::CopyProgress> parse_progress(std::string_view line, std::string* step) {
  json::error_code error;
  const json::value value = json::parse({line.data(), line.size()}, error);
  if (error || !value.is_object()) return std::nullopt;
  const json::value* progress = value.as_object().if_contains("progress");
  if (progress == nullptr || !progress->is_object()) return std::nullopt;
  const json::object& object = progress->as_object();
  *step = text_of(object, "step");
  return cluster::CopyProgress{*step, number_of(object, "done_bytes"),
                               number_of(object, "total_bytes")};
}

std::string copy_text(const CopyReport& report) {
  return json::serialize(json::object{{"cluster", report.cluster},
                                      {"endpoint", report.endpoint},
                                      {"folder", report.folder},
                                      {"made_at", report.made_at},
                                      {"postgresql", report.postgresql},
                                      {"size_bytes", report.size_bytes}});
}

base::Result<CopyReport> parse_copy(std::string_view line) {
  json::error_code error;
  const json::value value = json::parse({line.data(), line.size()}, error);
  if (error || !value.is_object()) {
    return base::Error{base::Code::kInternal, "the instance's answer is not JSON", {}};
  }
  const json::object& object = value.as_object();
  if (object.contains("error")) {
    return base::Error{base::Code::kFailedPrecondition, text_of(object, "error"),
                       text_of(object, "hint")};
  }
  return CopyReport{text_of(object, "cluster"),    text_of(object, "endpoint"),
                    text_of(object, "folder"),     text_of(object, "made_at"),
                    text_of(object, "postgresql"), number_of(object, "size_bytes")};
}

std::string_view outcome_name(function_host::InvokeOutcome outcome) {
  switch (outcome) {
    case function_host::InvokeOutcome::kOk:
      return "ok";
    case function_host::InvokeOutcome::kFunctionError:
      return "function_error";
    case function_host::InvokeOutcome::kThrottled:
      return "throttled";
    case function_host::InvokeOutcome::kNotFound:
      return "not_found";
    case function_host::InvokeOutcome::kNotReady:
      return "not_ready";
    case function_host::InvokeOutcome::kTooLarge:
      return "too_large";
  }
  return "?";
}

std::string invoke_text(const function_host::InvokeResult& result) {
  return json::serialize(json::object{{"outcome", outcome_name(result.outcome)},
                                      {"payload", result.payload},
                                      {"function_error", result.function_error},
                                      {"request_id", result.request_id},
                                      {"executed_version", result.executed_version},
                                      {"reason", result.reason},
                                      {"log_tail", result.log_tail}});
}

}  // namespace zorya::cli
