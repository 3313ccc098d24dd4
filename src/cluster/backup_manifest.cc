#include "cluster/backup_manifest.h"

#include "base/files.h"
#include "base/json_fields.h"
#include "cluster/backup.h"
#include "cluster/client.h"

#include <boost/json.hpp>

#include <algorithm>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using base::number_of;
using base::text_of;

constexpr std::size_t kManifestBytesMax = 1u << 20;
constexpr std::size_t kListBytesMax = 1u << 30;

base::Error broken(std::string why) {
  return {base::Code::kInvalidArgument,
          std::string(kBackupManifestName) + " is broken: " + std::move(why),
          {}};
}

/// Letters and digits only: it becomes the content of a file and a part of messages.
bool is_plain(std::string_view text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
}

}  // namespace

std::string manifest_text(const BackupManifest& manifest) {
  json::object notes;
  for (const auto& [name, value] : manifest.notes) notes[name] = value;
  return json::serialize(json::object{{"format", kBackupFormat},
                                      {"cluster", manifest.cluster},
                                      {"made_at", manifest.made_at},
                                      {"postgresql", manifest.postgresql},
                                      {"template", manifest.template_key},
                                      {"checksum", manifest.checksum},
                                      {"size_bytes", manifest.size_bytes},
                                      {"file_count", manifest.file_count},
                                      {"notes", std::move(notes)}}) +
         "\n";
}

base::Result<BackupManifest> parse_manifest(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return broken("it is not a JSON object");
  const json::object& object = value.as_object();
  const std::uint64_t format = number_of(object, "format");
  if (format == 0) return broken("it has no format");
  if (format > kBackupFormat) {
    return base::Error{base::Code::kFailedPrecondition,
                       "it is of format " + std::to_string(format) + "; this zorya reads format " +
                           std::to_string(kBackupFormat),
                       "restore it with the zorya that made it, or a later one"};
  }
  BackupManifest manifest{.cluster = text_of(object, "cluster"),
                          .made_at = text_of(object, "made_at"),
                          .postgresql = text_of(object, "postgresql"),
                          .template_key = text_of(object, "template"),
                          .checksum = text_of(object, "checksum"),
                          .size_bytes = number_of(object, "size_bytes"),
                          .file_count = number_of(object, "file_count")};
  if (!is_cluster_id(manifest.cluster)) return broken("it names no cluster");
  if (!is_plain(manifest.template_key)) return broken("it names no template");
  if (!is_plain(manifest.checksum)) return broken("it has no checksum");
  if (const json::value* notes = object.if_contains("notes"); notes && notes->is_object()) {
    for (const auto& [name, note] : notes->as_object()) {
      if (note.is_string()) manifest.notes[std::string(name)] = std::string(note.as_string());
    }
  }
  return manifest;
}

base::Result<BackupManifest> read_manifest(const fs::path& folder) {
  const auto no_backup = [&](const std::string& what) {
    return base::Error{base::Code::kInvalidArgument, folder.string() + " " + what, {}};
  };
  std::error_code error;
  if (!fs::is_directory(folder, error)) return no_backup("is no folder");
  if (fs::exists(folder / kIncompleteMark, error)) {
    return no_backup("is a backup that did not come to its end");
  }
  if (!fs::exists(folder / kBackupManifestName, error)) {
    const bool is_postgres =
        fs::exists(folder / "PG_VERSION", error) || fs::exists(folder / kFileListName, error);
    return no_backup(is_postgres ? "is a data folder or a backup of PostgreSQL's, not of zorya's"
                                 : "is no backup: it has no " + std::string(kBackupManifestName));
  }
  ZORYA_ASSIGN(const std::string text,
               base::read_file(folder / kBackupManifestName, kManifestBytesMax));
  auto manifest = parse_manifest(text);
  if (!manifest) return manifest.error().with_context(folder.string());
  return manifest;
}

BackupInfo info_of_backup(BackupManifest&& manifest) {
  return {std::move(manifest.cluster), std::move(manifest.made_at), std::move(manifest.postgresql),
          manifest.size_bytes, std::move(manifest.notes)};
}

base::Result<BackupInfo> look_at_backup(const fs::path& folder) {
  ZORYA_ASSIGN(BackupManifest manifest, read_manifest(folder));
  return info_of_backup(std::move(manifest));
}

base::Result<std::string> checksum_of_list(const fs::path& data) {
  ZORYA_ASSIGN(const std::string list, base::read_file(data / kFileListName, kListBytesMax));
  // Its last line: "Manifest-Checksum": "…"}
  constexpr std::string_view kName = "\"Manifest-Checksum\": \"";
  const std::size_t at = list.rfind(kName);
  const std::size_t end = at == std::string::npos ? at : list.find('"', at + kName.size());
  if (end == std::string::npos) {
    return base::Error{base::Code::kInvalidArgument,
                       (data / kFileListName).string() + " is broken: it has no checksum",
                       {}};
  }
  return list.substr(at + kName.size(), end - at - kName.size());
}

}  // namespace zorya::cluster
