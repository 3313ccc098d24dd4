#pragma once

#include "base/launcher.h"
#include "base/result.h"
#include "cluster/account.h"
#include "cluster/extension.h"

#include <filesystem>

namespace zorya::cluster {

/// What a template is made with.
struct TemplateSpec {
  std::filesystem::path postgres_folder;  // PostgreSQL's programs
  std::filesystem::path clusters;         // data_folder/clusters
  Extension extension;
  Account account;
};

/// The slim data folder that new clusters are copies of: `<clusters>/.template-<key>`, made at the
/// first call (a second or two: initdb, a server with the owner door open, the extension's SQL, the
/// other two databases dropped, a checkpoint) and kept. Appears whole or not at all. An error of a
/// SQL file names file and line.
base::Result<std::filesystem::path> ensure_template(const TemplateSpec& spec,
                                                    base::Launcher& launcher);

}  // namespace zorya::cluster
