#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace zorya::cli {

/// `root` and everything that descends from it, as /proc tells now.
std::vector<pid_t> process_tree(pid_t root);

/// What these processes use of memory: their proportional set sizes (shared pages counted once in
/// all). Those that may not be looked at count nothing.
std::uint64_t memory_of(const std::vector<pid_t>& processes);

}  // namespace zorya::cli
