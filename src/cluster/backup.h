#pragma once

#include "base/launcher.h"
#include "base/result.h"
#include "cluster/backup_manifest.h"
#include "cluster/client.h"

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace zorya::cluster {

/// A file in a folder that is being filled.
inline constexpr std::string_view kIncompleteMark = "zorya_backup_incomplete";

struct BackupRequest {
  std::filesystem::path postgres_folder;  // PostgreSQL's programs
  std::filesystem::path socket_folder;    // of the running server
  std::string cluster;
  std::string template_key;
  std::filesystem::path to;  // absolute; its parent is there
  std::map<std::string, std::string> notes;
};

/// Copies a running cluster by pg_basebackup and has pg_verifybackup read it again. The folder is
/// filled as `<to>.incomplete` and gets its name when all of it is synced; on an error nothing is
/// left. What an earlier one that was killed left there is removed first. kAlreadyExists if `to` is
/// there and not empty, kFailedPrecondition if another backup fills the same folder.
base::Result<BackupManifest> back_up_to(const BackupRequest& request, base::Launcher& launcher,
                                        const OnProgress& on_progress);

/// Of PostgreSQL's programs: "15.14" of "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)".
base::Result<std::string> server_version(const std::filesystem::path& postgres_folder,
                                         base::Launcher& launcher);

/// Has pg_verifybackup read every file of `data` again, as the user that it belongs to.
base::Result<void> verify_backup(const std::filesystem::path& postgres_folder,
                                 const std::filesystem::path& data, const base::ChildSpec& as,
                                 std::uint64_t size_bytes, base::Launcher& launcher,
                                 const OnProgress& on_progress);

/// Tells that all of a step is done, however short it was. kUnavailable if it is told to stop.
base::Result<void> tell_end(std::string_view step, std::uint64_t size_bytes,
                            const OnProgress& on_progress);

/// Bytes and number of files in a folder. kInvalidArgument names a link, or what else is neither
/// file nor folder: a copy would lead out of the folder.
struct TreeSize {
  std::uint64_t size_bytes = 0;
  std::uint64_t file_count = 0;
};
base::Result<TreeSize> measure_tree(const std::filesystem::path& root);

/// The two numbers of pg_basebackup's "1024/30211 kB (3%), 0/1 tablespace", in bytes; false if the
/// line is another one.
bool parse_backup_progress(std::string_view line, CopyProgress* progress);

}  // namespace zorya::cluster
