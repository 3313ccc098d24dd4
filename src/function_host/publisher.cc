#include "function_host/publisher.h"

#include "base/files.h"
#include "base/random.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>
#include <vector>

namespace zorya::function_host {
namespace {

using base::Code;
using base::Error;
using base::Result;
using std::filesystem::path;

constexpr std::uintmax_t kCodeBytesMax = 262'144'000;  // the service's limit, unzipped

/// A fingerprint against accidents, not against forgers: two FNV-1a sums with different starts.
class Fingerprint {
 public:
  void add(std::string_view text) {
    add_bytes(std::to_string(text.size()));
    add_bytes(":");
    add_bytes(text);
  }
  [[nodiscard]] std::string text() const {
    char out[40];
    std::snprintf(out, sizeof out, "%016llx%016llx", static_cast<unsigned long long>(a_),
                  static_cast<unsigned long long>(b_));
    return out;
  }

 private:
  void add_bytes(std::string_view bytes) {
    for (const char c : bytes) {
      a_ = (a_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
      b_ = (b_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL + 0x9e3779b97f4a7c15ULL;
    }
  }
  std::uint64_t a_ = 0xcbf29ce484222325ULL;
  std::uint64_t b_ = 0x84222325cbf29ce4ULL;
};

Result<std::string> fingerprint_of(const FunctionSpec& spec) {
  Fingerprint sum;
  for (const auto& text :
       {spec.name, spec.description, spec.runtime, spec.handler, spec.alias, spec.role_arn,
        spec.log_group, std::to_string(spec.memory_size_mb), std::to_string(spec.timeout.count()),
        std::to_string(static_cast<int>(spec.snap_start)),
        std::to_string(static_cast<int>(spec.log_format)), std::to_string(spec.tracing_active),
        std::to_string(spec.ephemeral_storage_mb)}) {
    sum.add(text);
  }
  for (const auto& [name, value] : spec.environment) {
    sum.add(name);
    sum.add(value);
  }
  std::vector<path> files;
  std::uintmax_t bytes = 0;
  std::error_code error;
  for (auto it = std::filesystem::recursive_directory_iterator(spec.code_folder, error);
       !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    files.push_back(it->path());
    std::error_code ignored;
    if (it->is_regular_file(ignored)) bytes += it->file_size(ignored);
    if (bytes > kCodeBytesMax) {
      return Error{Code::kInvalidArgument, "Unzipped size must be smaller than 262144000 bytes",
                   "the code of function " + spec.name + " is " + spec.code_folder.string()};
    }
  }
  if (error) {
    return Error{Code::kNotFound,
                 "read the code of function " + spec.name + " in " + spec.code_folder.string() +
                     ": " + error.message(),
                 ""};
  }
  std::sort(files.begin(), files.end());
  for (const path& file : files) {
    struct stat st {};
    if (::lstat(file.c_str(), &st) != 0) continue;
    sum.add(file.lexically_relative(spec.code_folder).native());
    sum.add((st.st_mode & S_IXUSR) != 0 ? "x" : "-");
    if (S_ISREG(st.st_mode)) {
      ZORYA_ASSIGN(const std::string content, base::read_file(file, kCodeBytesMax));
      sum.add(content);
    } else if (S_ISLNK(st.st_mode)) {
      std::error_code ignored;
      sum.add(std::filesystem::read_symlink(file, ignored).native());
    }
  }
  return sum.text();
}

/// Everyone may read the code, as on the service: inside it belongs to someone else.
Result<void> open_to_all(const path& folder) {
  std::error_code error;
  std::vector<path> paths{folder};
  for (auto it = std::filesystem::recursive_directory_iterator(folder, error);
       !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    if (!it->is_symlink(error)) paths.push_back(it->path());
  }
  for (const path& entry : paths) {
    struct stat st {};
    if (error || ::lstat(entry.c_str(), &st) != 0) continue;
    const bool runs = S_ISDIR(st.st_mode) || (st.st_mode & S_IXUSR) != 0;
    if (::chmod(entry.c_str(), runs ? 0755 : 0644) != 0) {
      return base::errno_error("open " + entry.string() + " to all", errno);
    }
  }
  return {};
}

int number_of(const path& folder) {
  const std::string name = folder.filename();
  if (name.empty() || name.find_first_not_of("0123456789") != std::string::npos) return 0;
  return std::atoi(name.c_str());
}

int last_number(const path& function_folder) {
  int last = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(function_folder, error)) {
    last = std::max(last, number_of(entry.path()));
  }
  const auto kept = base::read_file(function_folder / "last_version");
  return kept ? std::max(last, std::atoi(kept->c_str())) : last;
}

/// "python:3.12.4" of "python:3.12.4 (/usr/bin/python3.12)": a log names no path of the machine.
std::string runtime_name(const std::string& description) {
  return description.substr(0, description.find(' '));
}

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > 140) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

}  // namespace

Result<path> Publisher::copy_code(const FunctionSpec& spec, int& number) {
  const path functions = options_.data_folder / "functions";
  const path folder = functions / spec.name;
  ZORYA_TRY(base::make_folder(functions, 0755));
  ZORYA_TRY(base::make_folder(folder, 0755));
  ZORYA_ASSIGN(const std::string fingerprint, fingerprint_of(spec));
  number = last_number(folder);
  const path newest = folder / std::to_string(number);
  const auto kept = base::read_file(newest / "fingerprint");
  if (kept && *kept == fingerprint) return newest / "code";
  ++number;
  const path made = folder / std::to_string(number);
  const path temporary = folder / (std::to_string(number) + ".new");
  std::error_code ignored;
  std::filesystem::remove_all(temporary, ignored);
  ZORYA_TRY(base::make_folder(temporary, 0755));
  ZORYA_TRY(base::copy_tree(spec.code_folder, temporary / "code"));
  ZORYA_TRY(open_to_all(temporary / "code"));
  ZORYA_TRY(base::write_file_atomically(temporary / "fingerprint", fingerprint, 0644));
  ZORYA_TRY(base::write_file_atomically(folder / "last_version", std::to_string(number), 0644));
  if (::rename(temporary.c_str(), made.c_str()) != 0) {
    return base::errno_error("make " + made.string(), errno);
  }
  return made / "code";
}

Result<std::shared_ptr<Version>> Publisher::prepare(const FunctionSpec& spec) {
  if (!is_name(spec.name)) {
    return Error{Code::kInvalidArgument, "function name \"" + spec.name + "\" is not valid",
                 "letters, digits, - and _"};
  }
  auto version = std::make_shared<Version>();
  version->spec = spec;
  if (version->spec.log_group.empty()) version->spec.log_group = "/aws/lambda/" + spec.name;
  int number = 0;
  ZORYA_ASSIGN(version->code, copy_code(spec, number));
  ZORYA_ASSIGN(version->image, runtimes_.prepare(version->spec, version->code));
  version->version = spec.alias.empty() ? "$LATEST" : std::to_string(number);
  version->snap_start = spec.snap_start != SnapStart::kNone && !spec.alias.empty();
  version->function_arn = "arn:aws:lambda:" + options_.region + ":" + options_.account +
                          ":function:" + spec.name + (spec.alias.empty() ? "" : ":" + spec.alias);
  version->credentials_token = base::random_uuid();
  if (::geteuid() == 0) {
    // Ids that no user has: one per version and instance, so that limits per id stay apart.
    const auto instance = static_cast<unsigned>(::getpid()) % 10'000U;
    version->uid = 1'000'000'000U + instance * 100'000U + next_uid_++ % 100'000U;
    version->gid = version->uid;
  } else {
    version->uid = ::geteuid();
    version->gid = ::getegid();
  }
  version->log = PlatformLog({.function = spec.name,
                              .version = version->version,
                              .runtime = runtime_name(version->image.description),
                              .region = options_.region,
                              .snap_start = version->snap_start,
                              .format = spec.log_format,
                              .memory_size_mb = spec.memory_size_mb});
  return version;
}

void Publisher::remove_old(const std::string& function, const path& current_code) {
  const int current = number_of(current_code.parent_path());
  std::error_code error;
  const path folder = options_.data_folder / "functions" / function;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const int number = number_of(entry.path());
    std::error_code ignored;
    if (number > 0 && number < current - 1) std::filesystem::remove_all(entry.path(), ignored);
  }
}

}  // namespace zorya::function_host
