#pragma once

#include "base/result.h"

#include <filesystem>

namespace zorya::cluster {

/// Ends every PostgreSQL process that works in `data_folder` (a server or orphaned backends whose
/// owner was killed), and takes away what would stop the next start: a pid file whose number
/// belongs to another process by now, with its shared memory segment. No error if there is nothing.
base::Result<void> end_leftover_server(const std::filesystem::path& data_folder);

}  // namespace zorya::cluster
