#pragma once

#include "function_host/client.h"
#include "function_host/host.h"
#include "function_host/sandbox.h"
#include "function_host/version.h"

namespace zorya::function_host {

/// Processes and threads of an environment: the service's documented cap.
inline constexpr unsigned kProcessCountMax = 1024;

/// What a sandbox of `version` holds: variables, files and mounts as the service's environments
/// have them. `credentials` are left out under SnapStart, for a snapshot must not hold them. Source
/// of the variables: the fact sheet, 2.1; of files and limits: 2.2.
SandboxSpec plan_sandbox(const Version& version, const Options& options,
                         const Credentials& credentials, std::string_view log_stream,
                         bool is_template);

}  // namespace zorya::function_host
