#pragma once

#include "base/launcher.h"
#include "base/result.h"
#include "cluster/backup_manifest.h"
#include "cluster/client.h"
#include "cluster/server.h"

#include <filesystem>

namespace zorya::cluster {

struct RestoreRequest {
  std::filesystem::path postgres_folder;  // PostgreSQL's programs
  std::filesystem::path from;             // the backup
  std::filesystem::path making;           // a cluster's folder without an id; not there yet
  ServerSpec server;                      // of a server on `making`
};

/// Fills `making` with a cluster that is a copy of the backup: copied, read again by
/// pg_verifybackup, started once and stopped in order, synced. An error says what is wrong with the
/// backup, or with us; the caller removes what was begun.
base::Result<BackupManifest> restore_to(const RestoreRequest& request, base::Launcher& launcher,
                                        const OnProgress& on_progress);

}  // namespace zorya::cluster
