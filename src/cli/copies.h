#pragma once

#include "base/result.h"
#include "cli/control_messages.h"
#include "cli/data_folder.h"
#include "cluster/client.h"

#include <filesystem>
#include <string>
#include <vector>

namespace zorya::cli {

/// Copies the cluster of that name (id or logical id; empty: the only one that a template names,
/// else the only one) to `folder`. Errors name the choices.
base::Result<CopyReport> back_up_cluster(cluster::Clusters& clusters, const State& state,
                                         const std::string& name,
                                         const std::filesystem::path& folder,
                                         const cluster::OnProgress& on_progress);

/// Makes the cluster `id` of the backup in `folder`; it is not started.
base::Result<CopyReport> restore_cluster(cluster::Clusters& clusters, const std::string& id,
                                         const std::filesystem::path& folder,
                                         const cluster::OnProgress& on_progress);

/// Makes the state of a new data folder that of the one where the backup was made, as far as the
/// backup's cluster goes: the same template finds its cluster there. False, and nothing changed, if
/// the backup does not know.
bool take_former_place(const cluster::BackupInfo& backup, State& state);

}  // namespace zorya::cli
