#pragma once

#include "base/launcher.h"
#include "base/result.h"
#include "function_host/client.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace zorya::function_host {

/// A file or folder of this machine as an environment sees it, always read-only.
struct Mount {
  std::filesystem::path host;  // absolute; a file is mounted on a file, a folder on a folder
  std::string inside;          // absolute path inside, e.g. "/opt/python"; made if absent
};

/// How to start a function's runtime inside an environment. /usr, /lib*, the code at /var/task and
/// the CA bundle are there already; everything else is named in `read_only_mounts`.
struct RuntimeImage {
  std::vector<std::string> argv;         // inside paths; argv[0] is absolute
  std::vector<std::string> environment;  // "NAME=value", what this runtime adds or overrides
                                         // (PYTHONPATH, AWS_EXECUTION_ENV, …)
  std::vector<Mount> read_only_mounts;
  bool can_clone = false;   // speaks the clone protocol of libzorya_clone.so (/var/runtime/)
  std::string description;  // "python:3.12.4 (/usr/bin/python3.12)", for INIT_START and status
};

/// Turns a function's runtime name and code into a RuntimeImage. One object per host; prepare() may
/// run on several worker threads at once.
class Runtimes {
 public:
  struct Options {
    std::filesystem::path data_folder;     // caches are made under it (requirements, /var/runtime)
    std::filesystem::path library_folder;  // shim and helper files shipped with the program
    base::Launcher* launcher = nullptr;    // outlives this object
    std::map<std::string, std::filesystem::path> interpreters;  // "python3.12" → path
    bool nearest_runtime = false;  // take the nearest interpreter, with a warning
    std::vector<std::filesystem::path> interpreter_folders;  // empty: /usr/bin, PATH, pyenv
  };

  virtual ~Runtimes() = default;

  /// Checks that the runtime is known, SnapStart is allowed for it, the interpreter and the
  /// handler's entry (bootstrap) are there, and installs requirements.txt. Blocks, up to minutes:
  /// workers only. Errors are fit to be shown to the user as they are.
  virtual base::Result<RuntimeImage> prepare(const FunctionSpec& spec,
                                             const std::filesystem::path& code_folder) = 0;
};

base::Result<std::unique_ptr<Runtimes>> make_runtimes(Runtimes::Options options);

}  // namespace zorya::function_host
