#pragma once

#include "base/launcher.h"
#include "base/result.h"

#include <sys/types.h>

#include <functional>
#include <string>

namespace zorya::cluster {

/// Listens to a program that runs for long. Each may be empty.
struct ToolWatch {
  /// A line of its output, without the end.
  std::function<void(const std::string& line)> on_line{};
  /// Every quarter of a second, with the program's pid. False ends its session.
  std::function<bool(pid_t pid)> on_tick{};
};

/// Runs one of PostgreSQL's programs to its end. kIo with its exit code and last words if that is
/// not 0, kUnavailable if on_tick ended it. `spec` leaves descriptors 1 and 2 and own_session
/// alone.
base::Result<void> run_tool(base::Launcher& launcher, base::ChildSpec spec, const ToolWatch& watch);

}  // namespace zorya::cluster
