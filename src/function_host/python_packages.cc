#include "function_host/python_packages.h"

#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <string_view>
#include <utility>

extern char** environ;

namespace zorya::function_host {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using base::Result;

constexpr std::chrono::minutes kInstallTimeout{10};
constexpr std::chrono::minutes kCompileTimeout{3};
constexpr std::size_t kLinesOfPip = 8;
constexpr std::size_t kKept = 3;  // folders per home: the current one and what old versions serve
constexpr const char* kKeyFile = ".zorya-key";

constexpr const char* kWorkParent = "/var/tmp";
constexpr std::string_view kWorkPrefix = "zorya-install-";

/// Removes what programs left that were killed while they installed: the name holds their pid.
void remove_abandoned() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kWorkParent, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kWorkPrefix)) continue;
    pid_t pid = 0;
    std::from_chars(name.data() + kWorkPrefix.size(), name.data() + name.size(), pid);
    if (pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH) fs::remove_all(entry.path(), error);
  }
}

/// A folder under /var/tmp that a pip of another user can reach, and that goes with this object.
class WorkFolder {
 public:
  static Result<WorkFolder> create() {
    remove_abandoned();
    std::string name = fmt::format("{}/{}{}-XXXXXX", kWorkParent, kWorkPrefix, ::getpid());
    if (::mkdtemp(name.data()) == nullptr) return base::errno_error("make " + name, errno);
    WorkFolder folder{fs::path(name)};
    if (::geteuid() == 0 && ::chown(name.c_str(), kUnprivilegedUid, kUnprivilegedUid) != 0) {
      return base::errno_error("give " + name + " to the installing user", errno);
    }
    return folder;
  }
  WorkFolder(WorkFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  WorkFolder& operator=(WorkFolder&&) = delete;
  ~WorkFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  explicit WorkFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

bool is_package_client_setting(std::string_view name) {
  constexpr std::string_view kNames[] = {"HTTP_PROXY",   "HTTPS_PROXY",    "NO_PROXY",
                                         "ALL_PROXY",    "http_proxy",     "https_proxy",
                                         "no_proxy",     "all_proxy",      "SSL_CERT_FILE",
                                         "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"};
  return name.starts_with("PIP_") ||
         std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

/// How this machine reaches its package index, from our own environment: the installing user has
/// none, and gets nothing else of it.
std::vector<std::string> client_settings() {
  std::vector<std::string> settings;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (is_package_client_setting(text.substr(0, text.find('=')))) settings.emplace_back(text);
  }
  return settings;
}

/// The settings of pip's configuration files that only we can read (~/.config/pip), as the
/// variables that mean the same. Lines are as `pip config list` prints:
/// global.index-url='https://…'
std::vector<std::string> configured_settings(base::Launcher& launcher, const Interpreter& python) {
  base::ChildSpec spec;
  spec.argv = {python.executable.string(), "-I", "-m", "pip", "config", "list"};
  spec.environment = {"PATH=/usr/bin:/bin", "LC_CTYPE=C.UTF-8"};
  for (const char* name : {"HOME", "XDG_CONFIG_HOME"}) {
    if (const char* value = std::getenv(name))
      spec.environment.push_back(fmt::format("{}={}", name, value));
  }
  std::vector<std::string> settings;
  auto ran = launcher.run(std::move(spec), std::chrono::seconds{20});
  if (!ran || ran->exit_status != 0) return settings;
  std::istringstream lines{ran->output};
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find("='");
    const bool section = line.starts_with("global.") || line.starts_with("install.");
    if (!section || equals == std::string::npos || !line.ends_with('\'')) continue;
    std::string name = line.substr(line.find('.') + 1, equals - line.find('.') - 1);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
    // "target" and its like would send the packages elsewhere.
    if (name == "TARGET" || name == "PREFIX" || name == "ROOT" || name == "USER") continue;
    settings.push_back(
        fmt::format("PIP_{}={}", name, line.substr(equals + 2, line.size() - equals - 3)));
  }
  return settings;
}

base::ChildSpec unprivileged(std::vector<std::string> argv, const fs::path& folder) {
  base::ChildSpec spec;
  spec.argv = std::move(argv);
  spec.working_folder = folder;
  spec.environment = {"PATH=/usr/bin:/bin", "LC_CTYPE=C.UTF-8", "HOME=" + folder.string(),
                      "TMPDIR=" + folder.string()};
  if (::geteuid() == 0) spec.uid = spec.gid = kUnprivilegedUid;
  return spec;
}

std::string last_lines(const std::string& text, std::size_t count) {
  std::vector<std::string> lines;
  std::istringstream stream{text};
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  if (lines.size() > count) lines.erase(lines.begin(), lines.end() - static_cast<long>(count));
  return fmt::format("{}", fmt::join(lines, "\n  "));
}

Result<void> run_pip(base::Launcher& launcher, const Interpreter& python,
                     const PackageRequest& request, const fs::path& work) {
  // -I keeps PYTHON* settings and user packages out; --target needs no virtual environment, and
  // the "externally managed" mark of a distribution does not concern it.
  auto spec = unprivileged(
      {python.executable.string(), "-I", "-m", "pip", "install", "--only-binary",
       ":all:", "--no-input", "--no-cache-dir", "--no-compile", "--disable-pip-version-check",
       "--no-warn-script-location", "--progress-bar", "off", "--target",
       (work / "packages").string(), "-r", (work / "requirements.txt").string()},
      work);
  // What is set for us comes last: the later of two equal names counts.
  for (auto& setting : configured_settings(launcher, python)) spec.environment.push_back(setting);
  for (auto& setting : client_settings()) spec.environment.push_back(setting);
  auto ran = launcher.run(std::move(spec), kInstallTimeout);
  if (!ran) return ran.error().with_context("install requirements of " + request.subject);
  if (ran->exit_status == 0) return {};
  if (ran->output.find("No module named pip") != std::string::npos) {
    return Error{Code::kFailedPrecondition,
                 fmt::format("install requirements of {}: {} has no pip", request.subject,
                             python.executable.string()),
                 "on Debian: apt-get install python3-pip"};
  }
  return Error{Code::kFailedPrecondition,
               fmt::format("install requirements of {}: pip of Python {} ended with {}:\n  {}",
                           request.subject, python.version, ran->exit_status,
                           last_lines(ran->output, kLinesOfPip)),
               "only wheels are installed, none is built"};
}

/// Environments cannot write byte code, so it is made here; unchecked, for copies change times.
void compile(base::Launcher& launcher, const Interpreter& python, const fs::path& work,
             const std::string& inside) {
  const std::string packages = (work / "packages").string();
  auto spec = unprivileged(
      {python.executable.string(), "-I", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode",
       "unchecked-hash", "-s", packages, "-p", inside, packages},
      work);
  auto ran = launcher.run(std::move(spec), kCompileTimeout);
  // A package may carry files of other Python versions; what does not compile is left as source.
  if (!ran) base::log(base::LogLevel::kWarning, "function_host", ran.error().message);
}

Result<void> make_readable(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (entry.is_symlink(error)) continue;
    const auto add = entry.is_directory(error) ? fs::perms::group_read | fs::perms::group_exec |
                                                     fs::perms::others_read | fs::perms::others_exec
                                               : fs::perms::group_read | fs::perms::others_read;
    fs::permissions(entry.path(), add, fs::perm_options::add, error);
    if (error) break;
  }
  if (!error) fs::permissions(folder, fs::perms(0755), error);
  if (error) return base::errno_error("make " + folder.string() + " readable", error.value());
  return {};
}

void remove_old(const fs::path& home, const fs::path& current) {
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> folders;
  for (const auto& entry : fs::directory_iterator(home, error)) {
    if (entry.path() != current) folders.emplace_back(entry.last_write_time(error), entry.path());
  }
  std::sort(folders.rbegin(), folders.rend());
  for (std::size_t i = kKept - 1; i < folders.size(); ++i) fs::remove_all(folders[i].second, error);
}

Result<void> install(base::Launcher& launcher, const Interpreter& python,
                     const PackageRequest& request, const std::string& key, const fs::path& place) {
  ZORYA_ASSIGN(const WorkFolder work, WorkFolder::create());
  ZORYA_ASSIGN(const std::string text, base::read_file(request.requirements_file));
  ZORYA_TRY(base::write_file_atomically(work.path() / "requirements.txt", text, 0644));
  ZORYA_TRY(run_pip(launcher, python, request, work.path()));
  std::error_code error;
  // A file that asks for nothing leaves no folder.
  fs::create_directory(work.path() / "packages", error);
  compile(launcher, python, work.path(), request.inside);

  // Copied, not moved: the copy is ours, and the installing user can no longer change it.
  const fs::path fresh = request.home / (place.filename().string() + ".new");
  fs::remove_all(fresh, error);
  ZORYA_TRY(base::copy_tree(work.path() / "packages", fresh));
  ZORYA_TRY(make_readable(fresh));
  ZORYA_TRY(base::write_file_atomically(fresh / kKeyFile, key, 0644));
  fs::remove_all(place, error);
  fs::rename(fresh, place, error);
  if (error) return base::errno_error("rename " + fresh.string(), error.value());
  return base::sync_path(request.home);
}

}  // namespace

Result<fs::path> python_packages(base::Launcher& launcher, const Interpreter& interpreter,
                                 const PackageRequest& request) {
  ZORYA_ASSIGN(const std::string text, base::read_file(request.requirements_file));
  const std::string key =
      fmt::format("python {} {}\n{}", interpreter.version, interpreter.executable.string(), text);
  ZORYA_TRY(base::make_folder(request.home, 0755));
  // The hash is a name, not a proof: the whole key lies in the folder and is compared.
  fs::path place = request.home / base::to_hex(base::fnv1a_128(key));
  if (auto held = base::read_file(place / kKeyFile); held && *held == key) return place;
  base::log(base::LogLevel::kInfo, "function_host", "install requirements of " + request.subject);
  ZORYA_TRY(install(launcher, interpreter, request, key, place));
  remove_old(request.home, place);
  return place;
}

}  // namespace zorya::function_host
