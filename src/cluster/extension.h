#pragma once

#include "base/result.h"
#include "cluster/settings.h"

#include <filesystem>
#include <string>
#include <vector>

namespace zorya::cluster {

/// Our PostgreSQL extension as a server uses it.
struct Extension {
  std::filesystem::path folder;                  // of the library's copy: dynamic_library_path
  std::vector<std::filesystem::path> sql_files;  // for the template, in order
  Settings settings;                             // that the library needs
  std::string key;  // names library and SQL: a template made of other ones is another template
};

/// Reads `library_folder` (zorya_query_processor.so, query_processor.conf, sql/*.sql) and copies
/// the library to `<clusters>/.extension-<hash>/`, from where the server's user can read it,
/// wherever `library_folder` lies. A copy is never written again: it may be loaded. Copies of other
/// content are removed; no server may run.
base::Result<Extension> install_extension(const std::filesystem::path& library_folder,
                                          const std::filesystem::path& clusters);

}  // namespace zorya::cluster
