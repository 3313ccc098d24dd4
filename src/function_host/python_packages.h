#pragma once

#include "base/launcher.h"
#include "base/result.h"
#include "function_host/interpreters.h"

#include <filesystem>
#include <string>

namespace zorya::function_host {

/// One folder of packages to be had.
struct PackageRequest {
  std::filesystem::path requirements_file;
  std::filesystem::path home;  // <home>/<hash>/ is the folder's place; made if absent
  std::string inside;          // where environments will see it, for the paths in tracebacks
  std::string subject;         // "function X", for messages
};

/// Gives the folder that holds the packages of `request` for `interpreter`, installed by its pip
/// the first time: wheels only, so that nothing of a package runs, and as an unprivileged user when
/// we are root. The folder is keyed by the requirements' text and the interpreter, appears whole or
/// not at all, and is ours and read-only to others. Blocks up to minutes; calls for one `home` must
/// not overlap. A failed install is kFailedPrecondition with pip's last lines.
base::Result<std::filesystem::path> python_packages(base::Launcher& launcher,
                                                    const Interpreter& interpreter,
                                                    const PackageRequest& request);

}  // namespace zorya::function_host
