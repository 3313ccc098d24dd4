#pragma once

#include "base/result.h"
#include "cluster/client.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace zorya::cluster {

/// What a backup says about itself: `zorya_backup.json` beside `data`, written last, so that a
/// folder that has it is whole. Described in docs/formats/backup.md.
struct BackupManifest {
  std::string cluster{};     // id of the cluster that it is a copy of
  std::string made_at{};     // UTC, "2026-11-26T05:44:01Z"
  std::string postgresql{};  // version of the server's programs: "15.14"
  std::string template_key{};
  std::string checksum{};  // PostgreSQL's own backup_manifest ends with it: SHA-256 of its text
  std::uint64_t size_bytes = 0;
  std::uint64_t file_count = 0;
  std::map<std::string, std::string> notes{};  // of who asked for it; we keep them and no more
};

inline constexpr int kBackupFormat = 1;
inline constexpr std::string_view kBackupManifestName = "zorya_backup.json";
/// PostgreSQL's list of the files, in `data`.
inline constexpr std::string_view kFileListName = "backup_manifest";

std::string manifest_text(const BackupManifest& manifest);

/// kInvalidArgument if it is not one, kFailedPrecondition if it is of a later format.
base::Result<BackupManifest> parse_manifest(std::string_view text);

/// Of the backup in `folder`. The error says what the folder is instead: nothing, half a backup, a
/// backup that another program made.
base::Result<BackupManifest> read_manifest(const std::filesystem::path& folder);

BackupInfo info_of_backup(BackupManifest&& manifest);

/// The checksum that ends PostgreSQL's list of files in `data`.
base::Result<std::string> checksum_of_list(const std::filesystem::path& data);

}  // namespace zorya::cluster
