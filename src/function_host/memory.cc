#include "function_host/memory.h"

#include "base/files.h"
#include "base/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

namespace zorya::function_host {
namespace {

constexpr std::size_t kProcessCountMax = 4096;

/// The start of a small file of /proc; empty if the process is gone.
std::string read_proc(pid_t pid, const char* name) {
  const std::string path = "/proc/" + std::to_string(pid) + name;
  const base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  std::array<char, 8192> buffer{};
  const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

std::int64_t rss_of(pid_t pid) {
  static const std::int64_t page_bytes = ::sysconf(_SC_PAGESIZE);
  const std::string statm = read_proc(pid, "/statm");
  const char* second = std::strchr(statm.c_str(), ' ');
  return second == nullptr ? 0 : std::atoll(second) * page_bytes;
}

std::int64_t pss_of(pid_t pid) {
  const std::string text = read_proc(pid, "/smaps_rollup");
  const std::size_t at = text.find("\nPss:");
  return at == std::string::npos ? rss_of(pid) : std::atoll(text.c_str() + at + 5) * 1024;
}

}  // namespace

std::vector<pid_t> processes_below(pid_t pid1) {
  std::vector<pid_t> found;
  std::vector<pid_t> open{pid1};
  while (!open.empty() && found.size() < kProcessCountMax) {
    const pid_t pid = open.back();
    open.pop_back();
    const std::string children =
        read_proc(pid, ("/task/" + std::to_string(pid) + "/children").c_str());
    for (const char* at = children.c_str(); *at != '\0';) {
      char* end = nullptr;
      const long child = std::strtol(at, &end, 10);
      if (end == at) break;
      at = end + std::strspn(end, " ");
      found.push_back(static_cast<pid_t>(child));
      open.push_back(static_cast<pid_t>(child));
    }
  }
  return found;
}

std::int64_t resident_bytes(pid_t pid1) {
  std::int64_t sum = 0;
  for (const pid_t pid : processes_below(pid1)) sum += rss_of(pid);
  return sum;
}

std::int64_t proportional_bytes(pid_t pid1) {
  std::int64_t sum = 0;
  for (const pid_t pid : processes_below(pid1)) sum += pss_of(pid);
  return sum;
}

}  // namespace zorya::function_host
