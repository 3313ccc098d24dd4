#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace zorya::function_host {

/// The processes below `pid1` (itself left out), as this machine numbers them; up to 4,096.
std::vector<pid_t> processes_below(pid_t pid1);

/// Resident memory of the processes below `pid1`, in bytes. Pages shared by several processes, a
/// template's among them, count in each: an upper bound that is cheap to read.
std::int64_t resident_bytes(pid_t pid1);

/// The same with each shared page divided by its users (PSS). Dear: walks page tables.
std::int64_t proportional_bytes(pid_t pid1);

}  // namespace zorya::function_host
