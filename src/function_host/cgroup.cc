#include "function_host/cgroup.h"

#include "base/files.h"
#include "base/log.h"
#include "base/unique_fd.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

namespace zorya::function_host {
namespace {

using base::Result;
using std::filesystem::path;

/// Groups of zorya processes, before their pid. It tells of which pid namespace: in another one the
/// same number is somebody else or nobody, while the tree of groups may be the same.
std::string group_prefix() {
  struct stat st {};
  const bool known = ::stat("/proc/self/ns/pid", &st) == 0;
  return "zorya-" + std::to_string(known ? st.st_ino : 0) + "-";
}

Result<void> put(const path& file, const std::string& text) {
  const base::UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return base::errno_error("write " + file.string(), errno);
  }
  return {};
}

/// Where this process is in a hierarchy: the path after "<id>:<controller>:".
std::optional<std::string> own_group(std::string_view controller) {
  const auto text = base::read_file("/proc/self/cgroup");
  if (!text) return std::nullopt;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    if (line.substr(first + 1, second - first - 1) == controller) return line.substr(second + 1);
  }
  return std::nullopt;
}

/// Folders cannot be removed while the kernel still takes their last process apart.
void remove_folder(const path& folder) {
  for (int round = 0; round < 200 && ::rmdir(folder.c_str()) != 0 && errno == EBUSY; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void remove_leftovers(const path& parent) {
  std::error_code ignored;
  const std::string prefix = group_prefix();
  for (const auto& entry : std::filesystem::directory_iterator(parent, ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(prefix)) continue;
    const pid_t owner = std::atoi(name.c_str() + prefix.size());
    if (owner <= 0 || ::kill(owner, 0) == 0 || errno != ESRCH) continue;
    for (const auto& child : std::filesystem::directory_iterator(entry.path(), ignored)) {
      if (child.is_directory(ignored)) remove_folder(child.path());
    }
    remove_folder(entry.path());
  }
}

/// Our own group below `parent`, or nothing if it cannot be made.
std::optional<path> make_own(const path& parent) {
  remove_leftovers(parent);
  const path folder = parent / (group_prefix() + std::to_string(::getpid()));
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return std::nullopt;
  return folder;
}

std::optional<std::vector<path>> open_v1() {
  std::vector<path> roots;
  for (const char* controller : {"memory", "pids"}) {
    const path top = path("/sys/fs/cgroup") / controller;
    const auto group = own_group(controller);
    if (!group) break;
    const path ours = top / std::string_view(*group).substr(1);
    auto folder = make_own(std::filesystem::exists(ours) ? ours : top);
    if (!folder) break;
    roots.push_back(std::move(*folder));
  }
  if (roots.size() == 2) return roots;
  for (const path& root : roots) remove_folder(root);
  return std::nullopt;
}

/// Directly below the root: a group that holds processes (ours) may not have groups with limits.
std::optional<std::vector<path>> open_v2() {
  const path top = "/sys/fs/cgroup";
  const auto controllers = base::read_file(top / "cgroup.controllers");
  if (!controllers || controllers->find("memory") == std::string::npos ||
      controllers->find("pids") == std::string::npos) {
    return std::nullopt;
  }
  if (!put(top / "cgroup.subtree_control", "+memory +pids")) return std::nullopt;
  auto folder = make_own(top);
  if (!folder) return std::nullopt;
  if (!put(*folder / "cgroup.subtree_control", "+memory +pids")) {
    remove_folder(*folder);
    return std::nullopt;
  }
  return std::vector<path>{std::move(*folder)};
}

}  // namespace

Result<void> Cgroup::place(pid_t pid) const {
  for (const path& folder : folders_) {
    ZORYA_TRY(put(folder / "cgroup.procs", std::to_string(pid)));
  }
  return {};
}

bool Cgroup::was_out_of_memory() const {
  if (folders_.empty()) return false;
  const auto text = base::read_file(folders_[0] / (v2_ ? "memory.events" : "memory.oom_control"));
  if (!text) return false;
  std::istringstream lines(*text);
  std::string name;
  for (long count = 0; lines >> name >> count;) {
    if (name == "oom_kill") return count > 0;
  }
  return false;
}

void Cgroup::remove() {
  for (const path& folder : folders_) remove_folder(folder);
  folders_.clear();
}

std::unique_ptr<Cgroups> Cgroups::open() {
  if (auto roots = open_v1()) return std::unique_ptr<Cgroups>(new Cgroups(*roots, false));
  if (auto roots = open_v2()) return std::unique_ptr<Cgroups>(new Cgroups(*roots, true));
  return nullptr;
}

Cgroups::~Cgroups() {
  for (const path& root : roots_) remove_folder(root);
}

Result<Cgroup> Cgroups::make(const std::string& name, int memory_mb, int process_count_max) {
  std::vector<path> folders;
  for (const path& root : roots_) {
    folders.push_back(root / name);
    if (::mkdir(folders.back().c_str(), 0755) != 0) {
      const auto error = base::errno_error("make control group " + folders.back().string(), errno);
      folders.pop_back();
      Cgroup(std::move(folders), v2_).remove();
      return error;
    }
  }
  Cgroup group(folders, v2_);
  const std::string limit = std::to_string(static_cast<long long>(memory_mb) << 20);
  auto set = put(folders.front() / (v2_ ? "memory.max" : "memory.limit_in_bytes"), limit);
  if (set) set = put(folders.back() / "pids.max", std::to_string(process_count_max));
  if (!set) {
    group.remove();
    return std::move(set).error();
  }
  return group;
}

}  // namespace zorya::function_host
