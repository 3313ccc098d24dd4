#pragma once

#include "base/result.h"

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace zorya::function_host {

/// The control group of one environment: a second wall behind the limits the host polls. Empty if
/// groups are not in use. Movable; remove() when its processes are gone.
class Cgroup {
 public:
  Cgroup() = default;
  Cgroup(std::vector<std::filesystem::path> folders, bool v2)
      : folders_(std::move(folders)), v2_(v2) {}

  base::Result<void> place(pid_t pid) const;
  /// The kernel has killed a process of this group for want of memory.
  [[nodiscard]] bool was_out_of_memory() const;
  void remove();

 private:
  std::vector<std::filesystem::path> folders_;  // memory first
  bool v2_ = false;
};

/// Makes control groups for environments under one of our own ("zorya-<pid>"), version 1 or 2.
class Cgroups {
 public:
  /// Nothing if this machine or user has no memory and pids controllers to give. Removes what hosts
  /// that are gone have left.
  static std::unique_ptr<Cgroups> open();
  ~Cgroups();

  /// `memory_mb`: hard limit of everything, /tmp included.
  base::Result<Cgroup> make(const std::string& name, int memory_mb, int process_count_max);

 private:
  Cgroups(std::vector<std::filesystem::path> roots, bool v2) : roots_(std::move(roots)), v2_(v2) {}

  std::vector<std::filesystem::path> roots_;  // memory first
  bool v2_;
};

}  // namespace zorya::function_host
