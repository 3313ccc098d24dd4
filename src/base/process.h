#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <string_view>
#include <vector>

namespace zorya::base {

/// Pids of all processes that /proc shows, in no order.
std::vector<pid_t> all_processes();

/// Processes whose working folder is `folder` (resolved) and whose program file is named `program`:
/// how a server that serves a folder is known for certain, where a number in a pid file may belong
/// to another process by now. Sees only what /proc lets us see: everything as root, else our own.
std::vector<pid_t> processes_working_in(const std::filesystem::path& folder,
                                        std::string_view program);

/// SIGKILL to every process of the session `session`. The caller holds its leader unreaped, so that
/// the number cannot have passed to others.
void kill_session(pid_t session);

/// Sends SIGKILL to `processes` and waits until none is left. False if some are after `timeout`.
bool kill_and_wait(const std::vector<pid_t>& processes, std::chrono::milliseconds timeout);

}  // namespace zorya::base
