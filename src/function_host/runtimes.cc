#include "function_host/runtimes.h"

#include "base/files.h"
#include "base/hash.h"
#include "base/log.h"
#include "function_host/interpreters.h"
#include "function_host/python_packages.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <future>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

namespace zorya::function_host {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using base::Result;

constexpr int kSnapStartMinorMin = 12;  // the service's rule
constexpr const char* kCloneLibrary = "libzorya_clone.so";
constexpr const char* kComposedFile = ".zorya-composed";

/// The 12 of "python3.12".
std::optional<int> python_minor(std::string_view runtime) {
  constexpr std::string_view kPrefix = "python3.";
  if (!runtime.starts_with(kPrefix)) return std::nullopt;
  runtime.remove_prefix(kPrefix.size());
  int minor = 0;
  const auto [end, error] = std::from_chars(runtime.data(), runtime.data() + runtime.size(), minor);
  if (error != std::errc{} || end != runtime.data() + runtime.size()) return std::nullopt;
  return minor;
}

/// Names become folders, so they are the service's pattern and nothing else.
bool is_function_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
}

class HostRuntimes final : public Runtimes {
 public:
  explicit HostRuntimes(Options options)
      : options_(std::move(options)),
        search_(*options_.launcher, options_.interpreter_folders.empty()
                                        ? default_interpreter_folders()
                                        : options_.interpreter_folders) {}

  Result<RuntimeImage> prepare(const FunctionSpec& spec, const fs::path& code_folder) override {
    const auto minor = python_minor(spec.runtime);
    if (!minor && spec.runtime != "provided.al2023") {
      return Error{Code::kUnimplemented, "runtime " + spec.runtime + " is not supported",
                   "supported: python3.9 to python3.15, provided.al2023"};
    }
    if (spec.snap_start != SnapStart::kNone && minor.value_or(0) < kSnapStartMinorMin) {
      return Error{Code::kInvalidArgument,
                   spec.runtime + " is not supported for SnapStart enabled functions.", ""};
    }
    return minor ? prepare_python(spec, *minor, code_folder) : prepare_provided(spec, code_folder);
  }

 private:
  static Result<RuntimeImage> prepare_provided(const FunctionSpec& spec,
                                               const fs::path& code_folder) {
    const auto bootstrap = code_folder / "bootstrap";
    if (::access(bootstrap.c_str(), X_OK) != 0) {
      return Error{Code::kInvalidArgument,
                   "function " + spec.name + ": no executable file bootstrap in its code",
                   "provided.al2023 starts /var/task/bootstrap"};
    }
    RuntimeImage image;
    image.argv = {"/var/task/bootstrap"};
    image.description = "provided:al2023";
    return image;
  }

  Result<RuntimeImage> prepare_python(const FunctionSpec& spec, int minor,
                                      const fs::path& code_folder) {
    if (!is_function_name(spec.name)) {
      return Error{Code::kInvalidArgument, "function name " + spec.name + " is not valid",
                   "up to 64 of a-z A-Z 0-9 - _"};
    }
    // One function at a time: pip is heavy, and two installs for one place must not overlap.
    const std::lock_guard lock(mutex_);
    ZORYA_ASSIGN(const Interpreter python, interpreter(spec.runtime, minor));
    // The two installs wait for the index most of the time, so they wait together.
    auto later = std::async(std::launch::async,
                            [&] { return requirements_folder(spec, python, code_folder); });
    auto runtime_made = runtime_folder(python);
    auto packages = later.get();
    ZORYA_ASSIGN(const fs::path runtime, std::move(runtime_made));
    if (!packages) return packages.error();
    RuntimeImage image;
    image.argv = {python.executable.string(), "-I", "-S", "-u", "/var/runtime/bootstrap.py"};
    image.environment = {
        "AWS_EXECUTION_ENV=AWS_Lambda_" + spec.runtime, "PYTHONPATH=/var/runtime",
        "LC_CTYPE=C.UTF-8",
        // Our host takes a result and the next `next` in one piece; the shim removes this.
        "_ZORYA_PIPELINED=1"};
    image.read_only_mounts.push_back({runtime, "/var/runtime"});
    if (python.prefix != "/usr") {
      image.read_only_mounts.push_back({python.prefix, python.prefix.string()});
    }
    if (*packages) image.read_only_mounts.push_back({**packages, "/opt/python"});
    image.can_clone = fs::exists(runtime / kCloneLibrary);
    image.description = fmt::format("python:{} ({})", python.version, python.executable.string());
    return image;
  }

  Result<Interpreter> interpreter(const std::string& runtime, int minor) {
    if (const auto known = found_.find(runtime); known != found_.end()) return known->second;
    const auto named = options_.interpreters.find(runtime);
    auto found = named != options_.interpreters.end()
                     ? search_.probe(named->second)
                     : search_.find(minor, options_.nearest_runtime);
    if (!found) return found.error().with_context("runtime " + runtime);
    if (found->minor != minor) {
      base::log(base::LogLevel::kWarning, "function_host",
                fmt::format("runtime {} is served by Python {} ({})", runtime, found->version,
                            found->executable.string()));
    }
    found_.emplace(runtime, *found);
    return *found;
  }

  /// /var/runtime for `python`: the packages the service has there, installed once, and our own
  /// files beside them. A new version of our files is composed anew without the package index.
  Result<fs::path> runtime_folder(const Interpreter& python) {
    PackageRequest request;
    request.requirements_file = options_.library_folder / "python" / "runtime-requirements.txt";
    const fs::path home =
        options_.data_folder / "runtimes" / fmt::format("python3.{}", python.minor);
    request.home = home / "packages";
    request.inside = "/var/runtime";
    request.subject = fmt::format("the runtime of Python {}", python.version);
    ZORYA_ASSIGN(const fs::path packages, python_packages(*options_.launcher, python, request));
    ZORYA_ASSIGN(const std::string own, own_files_key());
    const std::string key = packages.filename().string() + "\n" + own;
    fs::path place = home / base::to_hex(base::fnv1a_128(key));
    if (auto held = base::read_file(place / kComposedFile); held && *held == key) return place;
    ZORYA_TRY(compose(python, packages, key, place));
    return place;
  }

  /// Appears whole or not at all: made beside its place and renamed.
  Result<void> compose(const Interpreter& python, const fs::path& packages, const std::string& key,
                       const fs::path& place) {
    const fs::path fresh = place.string() + ".new";
    std::error_code error;
    fs::remove_all(fresh, error);
    ZORYA_TRY(base::copy_tree(packages, fresh));
    ZORYA_TRY(add_own_files(python, fresh));
    ZORYA_TRY(base::write_file_atomically(fresh / kComposedFile, key, 0644));
    for (const auto& entry : fs::directory_iterator(place.parent_path(), error)) {
      // What an earlier program composed of the same packages; nothing runs on it, for we own the
      // data folder alone. Other packages are those of another interpreter.
      auto held = base::read_file(entry.path() / kComposedFile);
      const bool earlier = held && held->starts_with(packages.filename().string() + "\n");
      if (earlier && entry.path() != fresh) fs::remove_all(entry.path(), error);
    }
    fs::rename(fresh, place, error);
    if (error) return base::errno_error("rename " + fresh.string(), error.value());
    return base::sync_path(place.parent_path());
  }

  /// The function's packages; nothing if it asks for none.
  Result<std::optional<fs::path>> requirements_folder(const FunctionSpec& spec,
                                                      const Interpreter& python,
                                                      const fs::path& code_folder) {
    if (!fs::exists(code_folder / "requirements.txt")) return std::optional<fs::path>();
    PackageRequest request;
    request.requirements_file = code_folder / "requirements.txt";
    request.home = options_.data_folder / "packages" / spec.name;
    request.inside = "/opt/python";
    request.subject = "function " + spec.name;
    ZORYA_ASSIGN(fs::path folder, python_packages(*options_.launcher, python, request));
    return std::optional<fs::path>(std::move(folder));
  }

  /// The text of our own files: a new program with an old data folder must not serve old ones.
  Result<std::string> own_files_key() const {
    std::vector<fs::path> files;
    std::error_code error;
    for (const auto& entry :
         fs::recursive_directory_iterator(options_.library_folder / "python", error)) {
      if (entry.path().extension() == ".py") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    const fs::path library = options_.library_folder / kCloneLibrary;
    if (fs::exists(library)) files.push_back(library);
    std::string hashes;
    for (const auto& file : files) {
      ZORYA_ASSIGN(const std::string text, base::read_file(file));
      hashes += base::to_hex(base::fnv1a_128(text));
    }
    return "own files " + base::to_hex(base::fnv1a_128(hashes));
  }

  Result<void> add_own_files(const Interpreter& python, const fs::path& folder) {
    const fs::path source = options_.library_folder / "python";
    ZORYA_TRY(base::copy_tree(source / "zorya_runtime", folder / "zorya_runtime"));
    std::error_code error;
    fs::copy_file(source / "bootstrap.py", folder / "bootstrap.py", error);
    const fs::path library = options_.library_folder / kCloneLibrary;
    if (!error && fs::exists(library)) fs::copy_file(library, folder / kCloneLibrary, error);
    if (error) return base::errno_error("copy our runtime to " + folder.string(), error.value());
    base::ChildSpec spec;
    spec.argv = {python.executable.string(),
                 "-I",
                 "-m",
                 "compileall",
                 "-q",
                 "--invalidation-mode",
                 "unchecked-hash",
                 "-s",
                 folder.string(),
                 "-p",
                 "/var/runtime",
                 (folder / "zorya_runtime").string()};
    spec.environment = {"PATH=/usr/bin:/bin", "LC_CTYPE=C.UTF-8"};
    ZORYA_ASSIGN(const auto compiled, options_.launcher->run(std::move(spec), kCompileTimeout));
    if (compiled.exit_status == 0) return {};
    return Error{Code::kInternal, "compile our runtime: " + compiled.output, ""};
  }

  static constexpr std::chrono::seconds kCompileTimeout{60};

  Options options_;
  InterpreterSearch search_;
  std::mutex mutex_;
  std::map<std::string, Interpreter> found_;  // runtime → interpreter
};

}  // namespace

Result<std::unique_ptr<Runtimes>> make_runtimes(Runtimes::Options options) {
  return std::unique_ptr<Runtimes>(std::make_unique<HostRuntimes>(std::move(options)));
}

}  // namespace zorya::function_host
