#include "base/process.h"

#include "base/files.h"
#include "base/unique_fd.h"

#include <poll.h>
#include <sys/syscall.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>

namespace zorya::base {
namespace {

/// Session of a process, from /proc/<pid>/stat: the fourth field after the name in parentheses,
/// which may itself hold spaces and parentheses.
std::optional<pid_t> session_of(pid_t pid) {
  auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!stat) return std::nullopt;
  const std::size_t name_end = stat->rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const char* rest = stat->c_str() + name_end + 1;
  while (*rest == ' ') ++rest;
  if (*rest == '\0') return std::nullopt;
  ++rest;  // the state letter
  char* end = nullptr;
  std::strtol(rest, &end, 10);  // parent
  std::strtol(end, &end, 10);   // process group
  return static_cast<pid_t>(std::strtol(end, nullptr, 10));
}

}  // namespace

std::vector<pid_t> all_processes() {
  std::vector<pid_t> pids;
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec == std::errc{} && parsed.ptr == name.data() + name.size()) pids.push_back(pid);
  }
  return pids;
}

std::vector<pid_t> processes_working_in(const std::filesystem::path& folder,
                                        std::string_view program) {
  std::error_code error;
  const std::filesystem::path resolved = std::filesystem::canonical(folder, error);
  std::vector<pid_t> found;
  if (error) return found;
  for (const pid_t pid : all_processes()) {
    const std::filesystem::path entry = "/proc/" + std::to_string(pid);
    if (std::filesystem::read_symlink(entry / "cwd", error) != resolved || error) continue;
    std::string name = std::filesystem::read_symlink(entry / "exe", error).filename().string();
    if (error) continue;
    // A program whose package was upgraded meanwhile reads as "postgres (deleted)".
    if (const auto mark = name.find(" (deleted)"); mark != std::string::npos) name.resize(mark);
    if (name == program) found.push_back(pid);
  }
  return found;
}

void kill_session(pid_t session) {
  ::kill(-session, SIGKILL);
  for (const pid_t pid : all_processes()) {
    if (session_of(pid) == session) ::kill(pid, SIGKILL);
  }
}

bool kill_and_wait(const std::vector<pid_t>& processes, std::chrono::milliseconds timeout) {
  std::vector<UniqueFd> pidfds;
  for (const pid_t pid : processes) {
    UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd) continue;  // gone already
    ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
    pidfds.push_back(std::move(pidfd));
  }
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (const UniqueFd& pidfd : pidfds) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd poll_for{pidfd.get(), POLLIN, 0};
    if (::poll(&poll_for, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0))) != 1) {
      return false;
    }
  }
  return true;
}

}  // namespace zorya::base
