#pragma once

#include "base/launcher.h"
#include "base/result.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace zorya::function_host {

/// A Python that was run and answered, as an environment's user could run it.
struct Interpreter {
  int minor = 0;                     // 11 of 3.11.2
  std::string version;               // "3.11.2"
  std::filesystem::path executable;  // links resolved
  std::filesystem::path prefix;      // what it needs on disk lies under this folder
};

/// The user that code from outside is installed and probed as when we are root: nobody.
constexpr uid_t kUnprivilegedUid = 65534;

/// The folders to look for interpreters in, in this order: /usr/bin, those of PATH, and the
/// versions of pyenv (PYENV_ROOT, else ~/.pyenv).
std::vector<std::filesystem::path> default_interpreter_folders();

/// Finds Pythons by running them, never by their names alone: a shim of a version manager, a broken
/// link or a folder that an environment cannot read are found out so, and the reason kept.
class InterpreterSearch {
 public:
  /// `launcher` outlives this object.
  InterpreterSearch(base::Launcher& launcher, std::vector<std::filesystem::path> folders)
      : launcher_(launcher), folders_(std::move(folders)) {}

  /// Runs `path`. kInvalidArgument says what is wrong with it.
  base::Result<Interpreter> probe(const std::filesystem::path& path);

  /// Python 3.`minor`; with `nearest` the version that is nearest to it (the higher of two), if it
  /// is not there. kNotFound names what was found and what was rejected, and why.
  base::Result<Interpreter> find(int minor, bool nearest);

 private:
  struct Candidates {
    std::vector<Interpreter> usable;
    std::vector<std::string> rejected;  // "path: reason"
  };
  std::optional<Interpreter> find_named(const std::string& name, int minor, Candidates& seen);

  base::Launcher& launcher_;
  std::vector<std::filesystem::path> folders_;
};

}  // namespace zorya::function_host
