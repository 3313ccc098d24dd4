#pragma once

#include "base/result.h"

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

namespace zorya::cluster {

/// Logs in as `role` by the socket in `socket_folder` and out again: the only proof that a server
/// serves. kUnavailable with PostgreSQL's words if it does not let us in (also while it starts or
/// recovers), kDeadlineExceeded after `timeout`.
base::Result<void> probe_login(const std::filesystem::path& socket_folder, std::string_view role,
                               std::chrono::milliseconds timeout);

}  // namespace zorya::cluster
