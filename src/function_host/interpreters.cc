#include "function_host/interpreters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <set>
#include <sstream>
#include <string_view>

namespace zorya::function_host {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using base::Result;

constexpr int kMinorMin = 9;
constexpr int kMinorMax = 15;
constexpr std::chrono::seconds kProbeTimeout{10};

// Also loads what the runtime needs, so that a Python built without it is not taken.
constexpr const char* kProbe =
    "import sys, os, ctypes, json, socket\n"
    "print('zorya-probe', sys.implementation.name, '.'.join(map(str, sys.version_info[:3])),"
    " os.path.realpath(sys.executable), os.path.realpath(sys.base_prefix), sep='\\t')\n";

std::vector<std::string> split(std::string_view text, char mark) {
  std::vector<std::string> parts;
  std::istringstream stream{std::string(text)};
  for (std::string part; std::getline(stream, part, mark);) parts.push_back(part);
  return parts;
}

std::string last_line(const std::string& text) {
  const auto lines = split(text, '\n');
  return lines.empty() ? "no output" : lines.back();
}

std::optional<int> minor_of(const std::string& version) {
  const auto parts = split(version, '.');
  int minor = 0;
  if (parts.size() < 2 || parts[0] != "3") return std::nullopt;
  const auto [end, error] =
      std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), minor);
  if (error != std::errc{} || end != parts[1].data() + parts[1].size()) return std::nullopt;
  return minor;
}

Result<Interpreter> read_answer(const fs::path& path, const std::string& output) {
  for (const auto& line : split(output, '\n')) {
    const auto fields = split(line, '\t');
    if (fields.size() != 5 || fields[0] != "zorya-probe") continue;
    const auto minor = minor_of(fields[2]);
    if (fields[1] != "cpython" || !minor || *minor < kMinorMin) {
      return Error{Code::kInvalidArgument,
                   fmt::format("{}: is {} {}", path.string(), fields[1], fields[2]),
                   "CPython 3.9 or later is needed"};
    }
    if (fields[3].starts_with("/tmp/") || fields[4].starts_with("/tmp/")) {
      return Error{Code::kInvalidArgument,
                   path.string() + ": lies under /tmp, where an environment has its own files", ""};
    }
    return Interpreter{*minor, fields[2], fields[3], fields[4]};
  }
  return Error{Code::kInvalidArgument, path.string() + ": did not answer as a Python does", ""};
}

fs::path home_folder() {
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') return home;
  const passwd* entry = ::getpwuid(::getuid());
  return entry != nullptr ? fs::path(entry->pw_dir) : fs::path("/");
}

std::vector<fs::path> pyenv_folders() {
  const char* root = std::getenv("PYENV_ROOT");
  const fs::path versions =
      (root != nullptr && *root != '\0' ? fs::path(root) : home_folder() / ".pyenv") / "versions";
  std::vector<fs::path> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(versions, error)) {
    folders.push_back(entry.path() / "bin");
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

}  // namespace

std::vector<fs::path> default_interpreter_folders() {
  std::vector<fs::path> folders = {"/usr/bin"};
  if (const char* path = std::getenv("PATH"); path != nullptr) {
    for (const auto& part : split(path, ':')) {
      // A relative entry would make the choice depend on where we were started.
      if (part.starts_with('/')) folders.emplace_back(part);
    }
  }
  for (auto& folder : pyenv_folders()) folders.push_back(std::move(folder));
  return folders;
}

Result<Interpreter> InterpreterSearch::probe(const fs::path& path) {
  base::ChildSpec spec;
  spec.argv = {path.string(), "-I", "-S", "-c", kProbe};
  spec.environment = {"PATH=/usr/bin:/bin", "LC_CTYPE=C.UTF-8"};
  if (::geteuid() == 0) spec.uid = spec.gid = kUnprivilegedUid;
  auto ran = launcher_.run(std::move(spec), kProbeTimeout);
  if (!ran) {
    return Error{Code::kInvalidArgument, path.string() + ": " + ran.error().message,
                 ::geteuid() == 0 ? "an environment's user must be able to read and run it" : ""};
  }
  if (ran->exit_status != 0) {
    return Error{Code::kInvalidArgument,
                 fmt::format("{}: exit status {}: {}", path.string(), ran->exit_status,
                             last_line(ran->output)),
                 ""};
  }
  return read_answer(path, ran->output);
}

std::optional<Interpreter> InterpreterSearch::find_named(const std::string& name, int minor,
                                                         Candidates& seen) {
  std::set<fs::path> tried;
  for (const auto& folder : folders_) {
    std::error_code error;
    const fs::path path = folder / name;
    const fs::path resolved = fs::canonical(path, error);
    if (error || !tried.insert(resolved).second) continue;
    auto answer = probe(path);
    if (!answer) {
      seen.rejected.push_back(answer.error().message);
      continue;
    }
    if (answer->minor == minor) return *answer;
    seen.usable.push_back(*answer);
  }
  return std::nullopt;
}

Result<Interpreter> InterpreterSearch::find(int minor, bool nearest) {
  Candidates seen;
  if (auto found = find_named(fmt::format("python3.{}", minor), minor, seen)) return *found;
  if (auto found = find_named("python3", minor, seen)) return *found;
  // Not there: look at what is, to take the nearest or to name it.
  for (int other = kMinorMin; other <= kMinorMax; ++other) {
    if (other == minor) continue;
    if (auto found = find_named(fmt::format("python3.{}", other), other, seen)) {
      seen.usable.push_back(*found);
    }
  }
  const auto better = [minor](const Interpreter& a, const Interpreter& b) {
    const int da = std::abs(a.minor - minor);
    const int db = std::abs(b.minor - minor);
    return da != db ? da < db : a.minor > b.minor;
  };
  if (nearest && !seen.usable.empty()) {
    return *std::min_element(seen.usable.begin(), seen.usable.end(), better);
  }
  std::set<std::string> found;
  for (const auto& usable : seen.usable) {
    found.insert(fmt::format("{} ({})", usable.executable.string(), usable.version));
  }
  return Error{
      Code::kNotFound,
      fmt::format("no Python 3.{} on this machine; found: {}{}", minor,
                  found.empty() ? "none" : fmt::format("{}", fmt::join(found, ", ")),
                  seen.rejected.empty()
                      ? ""
                      : fmt::format("; not usable: {}", fmt::join(seen.rejected, "; "))),
      fmt::format("install it, name one by --runtime python3.{}=/path, or take the nearest by "
                  "--nearest-runtime",
                  minor)};
}

}  // namespace zorya::function_host
