#pragma once

#include "base/result.h"

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zorya::function_host {

enum class LogFormat { kText, kJson };
enum class SnapStart { kNone, kPublishedVersions };

/// Variables that the service keeps for itself: a template that sets one is refused, and a function
/// cannot replace them (the developer guide's list of defined runtime variables).
inline constexpr std::array<std::string_view, 24> kReservedVariables = {
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
    "TZ"};

/// A function's configuration, all defaults filled in.
struct FunctionSpec {
  std::string name;
  std::string description;
  std::string runtime;  // "python3.12", "provided.al2023"
  std::string handler;
  std::filesystem::path code_folder;  // CodeUri as a folder on this machine; copied at publish
  int memory_size_mb = 128;
  std::chrono::seconds timeout{3};
  std::map<std::string, std::string> environment;
  SnapStart snap_start = SnapStart::kNone;
  std::string alias;  // AutoPublishAlias; empty: none, $LATEST is invoked
  LogFormat log_format = LogFormat::kText;
  std::string log_group;  // default "/aws/lambda/<name>"
  bool tracing_active = false;
  std::string role_arn;
  int ephemeral_storage_mb = 512;
};

/// Pending → Active or Failed, as GetFunctionConfiguration reports it.
enum class VersionState { kPending, kActive, kFailed };

struct VersionInfo {
  std::string function;
  std::string version;  // "1", "2", … or "$LATEST"
  VersionState state = VersionState::kPending;
  std::string state_reason_code;  // AWS's, e.g. "FunctionError.InitTimeout"
  std::string state_reason;
  std::string
      restore_path;  // "clone", or "cold" (SnapStart asked for but not possible, or not asked for)
  std::string restore_reason;  // why not "clone", in words
  std::chrono::milliseconds init_duration{0};
};

/// What an environment's process may call AWS with.
struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  std::chrono::system_clock::time_point expires;
};

struct InvokeRequest {
  std::string function;
  std::string payload;         // JSON, up to 6 MB
  std::string trace_header;    // "Root=1-…;Parent=…;Sampled=1"; empty: none
  std::string client_context;  // base64 JSON; usually empty
};

enum class InvokeOutcome {
  kOk,             // payload is the function's answer
  kFunctionError,  // the service's error object is the payload: handler threw, timed out, died,
                   // init failed
  kThrottled,      // no environment free and the cap is reached: 429 TooManyRequestsException
  kNotFound,       // no such function
  kNotReady,       // the version is Pending or Failed; reason says why
  kTooLarge,       // request payload over 6 MB: 413 RequestEntityTooLargeException
};

struct InvokeResult {
  InvokeOutcome outcome = InvokeOutcome::kOk;
  std::string payload;         // the function's JSON, or {"errorMessage":…,"errorType":…}
  std::string function_error;  // "Unhandled" or empty, as X-Amz-Function-Error
  std::string request_id;
  std::string executed_version;
  std::string reason;    // what AWS would not tell; for the log and x-zorya-reason
  std::string log_tail;  // last 4 KB of this invoke's log, as LogType Tail gives
};

/// Counts of the pool, for `zorya status`.
struct HostStatus {
  int environments_idle = 0;
  int environments_busy = 0;
  int environments_parked = 0;
  bool cgroups = false;
  std::string isolation;              // "L3", "L2"
  std::vector<VersionInfo> versions;  // the current version of each function
};

/// Runs functions. Calls return at once; callbacks run on the host's own thread, once, and must not
/// block.
class FunctionHost {
 public:
  virtual ~FunctionHost() = default;  // ends every environment, and leaves nothing of them

  /// Makes `spec` the current version of its function (copy code, install requirements, INIT and
  /// environment snapshot under SnapStart). The old version serves until the new one is Active; a
  /// failed publish leaves the old version in place and says why.
  virtual void publish(FunctionSpec spec, std::function<void(base::Result<VersionInfo>)> done) = 0;

  /// Ends the environments of a function that left the template.
  virtual void remove(std::string function, std::function<void()> done) = 0;

  virtual void invoke(InvokeRequest request, std::function<void(InvokeResult)> done) = 0;

  virtual HostStatus status() const = 0;  // any thread
};

}  // namespace zorya::function_host
