#include "cli/process_tree.h"

#include "base/files.h"

#include <cstdlib>
#include <map>
#include <string>

namespace zorya::cli {
namespace {

namespace fs = std::filesystem;

// The parent's pid is the second field behind the name, which may hold anything but ends with the
// last parenthesis.
pid_t parent_of(const fs::path& process) {
  const std::string text = base::read_file(process / "stat", 4096).value_or(std::string{});
  const std::size_t end = text.rfind(')');
  if (end == std::string::npos || end + 4 >= text.size()) return 0;
  return static_cast<pid_t>(std::strtol(text.c_str() + end + 4, nullptr, 10));
}

std::uint64_t pss_of(pid_t pid) {
  const std::string text = base::read_file("/proc/" + std::to_string(pid) + "/smaps_rollup", 65536)
                               .value_or(std::string{});
  const std::size_t line = text.find("\nPss:");
  return line == std::string::npos ? 0 : std::strtoull(text.c_str() + line + 5, nullptr, 10) * 1024;
}

}  // namespace

std::vector<pid_t> process_tree(pid_t root) {
  std::multimap<pid_t, pid_t> children;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    children.emplace(parent_of(entry.path()),
                     static_cast<pid_t>(std::strtol(name.c_str(), nullptr, 10)));
  }
  std::vector<pid_t> tree = {root};
  for (std::size_t index = 0; index < tree.size(); ++index) {
    const auto [first, last] = children.equal_range(tree[index]);
    for (auto child = first; child != last; ++child) tree.push_back(child->second);
  }
  return tree;
}

std::uint64_t memory_of(const std::vector<pid_t>& processes) {
  std::uint64_t bytes = 0;
  for (const pid_t pid : processes) bytes += pss_of(pid);
  return bytes;
}

}  // namespace zorya::cli
