#include "function_host/launch_plan.h"

#include <algorithm>
#include <map>
#include <string>

namespace zorya::function_host {
namespace {

using Variables = std::map<std::string, std::string>;

void add_names(Variables& out, const Version& version, const Options& options) {
  const FunctionSpec& spec = version.spec;
  out["_HANDLER"] = spec.handler;
  out["AWS_REGION"] = out["AWS_DEFAULT_REGION"] = options.region;
  out["AWS_LAMBDA_FUNCTION_NAME"] = spec.name;
  out["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = std::to_string(spec.memory_size_mb);
  out["AWS_LAMBDA_FUNCTION_VERSION"] = version.version;
  out["AWS_LAMBDA_INITIALIZATION_TYPE"] = version.snap_start ? "snap-start" : "on-demand";
  out["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:9001";
  out["LAMBDA_TASK_ROOT"] = "/var/task";
  out["LAMBDA_RUNTIME_DIR"] = "/var/runtime";
  out["TZ"] = ":UTC";
  out["LANG"] = "en_US.UTF-8";
  out["PATH"] = "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin";
  out["LD_LIBRARY_PATH"] =
      "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/"
      "lib";
  out["AWS_XRAY_CONTEXT_MISSING"] = "LOG_ERROR";
  out["AWS_XRAY_DAEMON_ADDRESS"] = "127.0.0.1:2000";
  out["_AWS_XRAY_DAEMON_ADDRESS"] = "127.0.0.1";
  out["_AWS_XRAY_DAEMON_PORT"] = "2000";
  out["PWD"] = "/var/task";
  if (spec.log_format == LogFormat::kJson) {
    out["AWS_LAMBDA_LOG_FORMAT"] = "JSON";
    out["AWS_LAMBDA_LOG_LEVEL"] = "INFO";
  }
}

void add_credentials(Variables& out, const Version& version, const Credentials& credentials) {
  if (version.snap_start) {
    out["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://127.0.0.1:9001/2021-04-23/credentials";
    out["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = version.credentials_token;
    return;
  }
  if (credentials.access_key_id.empty()) return;
  out["AWS_ACCESS_KEY_ID"] = credentials.access_key_id;
  out["AWS_SECRET_ACCESS_KEY"] = credentials.secret_access_key;
  out["AWS_SESSION_TOKEN"] = credentials.session_token;
}

void add_own(Variables& out, const Version& version) {
  for (const std::string& entry : version.image.environment) {
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos) out[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  for (const auto& [name, value] : version.spec.environment) {
    if (std::find(kReservedVariables.begin(), kReservedVariables.end(), name) ==
        kReservedVariables.end())
      out[name] = value;
  }
}

}  // namespace

SandboxSpec plan_sandbox(const Version& version, const Options& options,
                         const Credentials& credentials, std::string_view log_stream,
                         bool is_template) {
  Variables variables;
  add_names(variables, version, options);
  add_credentials(variables, version, credentials);
  if (!version.snap_start) {
    variables["AWS_LAMBDA_LOG_GROUP_NAME"] = version.spec.log_group;
    variables["AWS_LAMBDA_LOG_STREAM_NAME"] = log_stream;
  }
  add_own(variables, version);

  SandboxSpec plan;
  plan.argv = version.image.argv;
  for (const auto& [name, value] : variables) {
    plan.environment.push_back(std::string(name).append("=").append(value));
  }
  plan.mounts = {{version.code, "/var/task"}};
  if (!options.ca_bundle.empty()) {
    // Where AL2023 has it, and where Debian has it.
    plan.mounts.push_back({options.ca_bundle, "/etc/pki/tls/certs/ca-bundle.crt"});
    plan.mounts.push_back({options.ca_bundle, "/etc/ssl/certs/ca-certificates.crt"});
    plan.mounts.push_back({options.ca_bundle, "/etc/ssl/cert.pem"});
  }
  plan.mounts.insert(plan.mounts.end(), version.image.read_only_mounts.begin(),
                     version.image.read_only_mounts.end());
  plan.files = {
      {"/etc/passwd", "sbx_user1051:x:1000:1000::/home/sbx_user1051:/bin/sh\n"},
      {"/etc/group", "sbx_user1051:x:1000:\n"},
      {"/etc/hosts", "127.0.0.1 localhost\n"},
      {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
      {"/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"},
  };
  plan.tmp_mb = version.spec.ephemeral_storage_mb;
  plan.process_count_max = kProcessCountMax;
  if (is_template) {  // its clones count against its limit too
    plan.process_count_max *=
        static_cast<unsigned>(options.concurrency_max + options.parked_ahead + 1);
  }
  plan.map_uid = version.uid;
  plan.map_gid = version.gid;
  plan.is_template = is_template;
  return plan;
}

}  // namespace zorya::function_host
