#include "cluster/extension.h"

#include "base/files.h"
#include "base/hash.h"

#include <algorithm>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLibraryName = "zorya_query_processor.so";
constexpr std::string_view kFolderPrefix = ".extension-";
// A change of how a template is made must make another one of the same files.
constexpr std::string_view kTemplateVersion = "postgresql 15, template 1";

base::Result<std::vector<fs::path>> list_sql_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".sql") files.push_back(it->path());
  }
  if (error) return base::errno_error("read folder " + folder.string(), error.value());
  std::sort(files.begin(), files.end());
  return files;
}

base::Result<void> put_library(const fs::path& folder, std::string_view content) {
  const fs::path file = folder / kLibraryName;
  std::error_code error;
  if (fs::exists(file, error)) return {};
  ZORYA_TRY(base::make_folder(folder, 0755));
  return base::write_file_atomically(file, content, 0755);
}

void remove_others(const fs::path& clusters, const fs::path& kept) {
  std::vector<fs::path> others;
  std::error_code error;
  for (fs::directory_iterator it(clusters, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with(kFolderPrefix) && it->path() != kept) others.push_back(it->path());
  }
  for (const fs::path& other : others) fs::remove_all(other, error);
}

}  // namespace

base::Result<Extension> install_extension(const fs::path& library_folder,
                                          const fs::path& clusters) {
  ZORYA_ASSIGN(const std::string library, base::read_file(library_folder / kLibraryName));
  const fs::path settings_file = library_folder / "query_processor.conf";
  ZORYA_ASSIGN(const std::string settings, base::read_file(settings_file));

  Extension extension;
  ZORYA_ASSIGN(extension.settings, parse_settings(settings, settings_file.string()));
  ZORYA_ASSIGN(extension.sql_files, list_sql_files(library_folder / "sql"));
  const std::string library_hash = base::to_hex(base::fnv1a_128(library));
  std::string named = std::string(kTemplateVersion) + library_hash;
  for (const fs::path& file : extension.sql_files) {
    ZORYA_ASSIGN(const std::string sql, base::read_file(file));
    named += file.filename().string() + ":" + std::to_string(sql.size()) + ":" + sql;
  }
  extension.key = base::to_hex(base::fnv1a_128(named));
  extension.folder = clusters / (std::string(kFolderPrefix) + library_hash);
  ZORYA_TRY(put_library(extension.folder, library));
  remove_others(clusters, extension.folder);
  return extension;
}

}  // namespace zorya::cluster
