#include "function_host/lint.h"

#include "base/files.h"
#include "function_host/sandbox/wire.h"

#include <cstdint>
#include <filesystem>
#include <sstream>
#include <system_error>

namespace zorya::function_host {
namespace {

constexpr std::uintmax_t kCopyBytesMax = 8u << 20;  // measured: dearer than an overlay above it
constexpr int kTmpFileCountMax = 2000;

int count_threads(const std::string& proc) {
  std::error_code error;
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(proc + "/task", error)) {
    (void)entry;
    ++count;
  }
  return error ? -1 : count;
}

/// The first writable shared mapping, by its name; empty if there is none.
std::string shared_mapping(const std::string& proc) {
  const auto maps = base::read_file(proc + "/maps");
  if (!maps) return "maps that cannot be read";
  std::istringstream lines(*maps);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || line.compare(space + 1, 4, "rw-s") != 0) continue;
    const std::size_t name = line.find('/');
    return name == std::string::npos ? "anonymous memory" : line.substr(name);
  }
  return {};
}

/// Pipes and event descriptors would join all clones; standard input and output are replaced.
std::string shared_pipe(const std::string& proc) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(proc + "/fd", error)) {
    if (entry.path().filename().native().size() == 1 && entry.path().filename().native() < "4") {
      continue;
    }
    std::string target = std::filesystem::read_symlink(entry.path(), error);
    if (target.starts_with("pipe:") || target.starts_with("anon_inode:[eventfd]")) return target;
  }
  return {};
}

char tmp_mode_of(const std::string& proc) {
  std::error_code error;
  std::uintmax_t bytes = 0;
  int count = 0;
  const std::filesystem::path tmp = proc + "/root/tmp";
  for (auto it = std::filesystem::recursive_directory_iterator(tmp, error);
       !error && it != std::filesystem::recursive_directory_iterator(); it.increment(error)) {
    ++count;
    if (it->is_regular_file(error)) bytes += it->file_size(error);
    if (count > kTmpFileCountMax || bytes > kCopyBytesMax) return ZORYA_TMP_OVERLAY;
  }
  return count == 0 ? ZORYA_TMP_EMPTY : ZORYA_TMP_COPY;
}

}  // namespace

TemplateFindings inspect_template(pid_t pid) {
  const std::string proc = "/proc/" + std::to_string(pid);
  TemplateFindings findings;
  const int threads = count_threads(proc);
  if (threads != 1) {
    findings.refusal =
        threads < 0 ? "its process cannot be seen"
                    : "INIT left " + std::to_string(threads) + " threads, and a clone has only one";
    return findings;
  }
  if (const std::string name = shared_mapping(proc); !name.empty()) {
    findings.refusal = "INIT left writable shared memory (" + name + ")";
    return findings;
  }
  if (const std::string name = shared_pipe(proc); !name.empty()) {
    findings.refusal = "INIT left an open pipe (" + name + ")";
    return findings;
  }
  findings.tmp_mode = tmp_mode_of(proc);
  return findings;
}

}  // namespace zorya::function_host
