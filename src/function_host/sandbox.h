#pragma once

#include "base/launcher.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "function_host/runtimes.h"
#include "function_host/sandbox/wire.h"

#include <sys/types.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace zorya::function_host {

/// What a sandbox holds besides /usr and the system's loader files.
struct SandboxSpec {
  std::vector<std::string> argv;
  std::vector<std::string> environment;
  std::vector<Mount> mounts;
  std::vector<std::pair<std::string, std::string>> files;  // {inside path, content}
  int tmp_mb = 512;
  unsigned process_count_max = 1024;
  uid_t map_uid = 0;  // outside ids that the inside user stands for
  gid_t map_gid = 0;
  bool is_template = false;
};

/// The descriptors of a started or cloned sandbox. Its processes end when pid 1 does.
struct Sandbox {
  pid_t pid = 0;           // pid 1 inside, as this machine sees it
  pid_t runtime_pid = 0;   // of a parked clone or a template: the runtime; else 0
  bool is_child = false;   // of ours: wants waitpid
  base::UniqueFd pidfd;    // of pid 1
  base::UniqueFd control;  // see sandbox/wire.h
  base::UniqueFd log;      // standard output and error, to read
  std::array<base::UniqueFd, ZORYA_LISTENER_COUNT> listeners;
};

enum ListenerIndex : std::size_t {
  kRuntimeApiListener,
  kDatabaseListener,
  kTraceSocket,
  kNameSocket
};

/// Called when the sandbox's pid 1 exists and waits: puts it into its cgroup, for instance.
using PlaceSandbox = std::function<base::Result<void>(pid_t pid)>;

/// Starts and clones sandboxes. Any thread; calls block for milliseconds: workers only.
class SandboxMaker {
 public:
  static base::Result<SandboxMaker> create(base::Launcher& launcher,
                                           const std::filesystem::path& library_folder);

  /// Returns once the sandbox is complete and its runtime about to be executed; what fails after
  /// that is said on `control` ('E' + text).
  base::Result<Sandbox> start(const SandboxSpec& spec, const PlaceSandbox& place) const;

  /// Makes a parked clone of `maker`, a template that waits for commands on its control socket. The
  /// caller lets one clone be made at a time.
  base::Result<Sandbox> clone(const Sandbox& from, char tmp_mode, int tmp_mb,
                              unsigned process_count_max, const PlaceSandbox& place) const;

 private:
  SandboxMaker(base::Launcher& launcher, std::filesystem::path tinit)
      : launcher_(&launcher), tinit_(std::move(tinit)) {}
  base::Result<void> make_mounts(const Sandbox& sandbox, char tmp_mode, int tmp_mb) const;

  base::Launcher* launcher_;
  std::filesystem::path tinit_;
  std::string environment_filter_;
  std::string template_filter_;
};

/// One message of a control socket.
struct ControlMessage {
  std::string bytes;  // empty: the other side is gone, or nothing came in time
  std::vector<base::UniqueFd> descriptors;
  pid_t sender = 0;
};

/// Waits up to `timeout` for one message. Zero only looks.
ControlMessage receive_control(int socket, std::chrono::milliseconds timeout);

/// Kills a sandbox's pid 1, waits for the end of all its processes, and reaps. Bounded: 10 s.
void end_sandbox(Sandbox& sandbox);

}  // namespace zorya::function_host
