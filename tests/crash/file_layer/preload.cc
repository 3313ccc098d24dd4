// A layer under a PostgreSQL server, for tests: preloaded (LD_PRELOAD), it keeps a ShadowDisk of
// the data folder by what the server syncs, and acts at places that a test arms. No bytes of the
// server's are changed.
//
// ZORYA_LAYER_FOLDER, ZORYA_LAYER_SHADOW: the data folder and its shadow; without them syncs are
// what they are. ZORYA_LAYER_CONTROL: the file of control.h.

#include "control.h"
#include "shadow_disk.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

using zorya::file_layer::Action;
using zorya::file_layer::Control;
using zorya::file_layer::ShadowDisk;

template <typename Function>
Function next_of(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

const ShadowDisk* disk() {
  static const ShadowDisk* const made = []() -> const ShadowDisk* {
    const char* folder = std::getenv("ZORYA_LAYER_FOLDER");
    const char* shadow = std::getenv("ZORYA_LAYER_SHADOW");
    return folder != nullptr && shadow != nullptr ? new ShadowDisk(folder, shadow) : nullptr;
  }();
  return made;
}

Control* control() {
  static Control* const mapped = []() -> Control* {
    const char* path = std::getenv("ZORYA_LAYER_CONTROL");
    if (path == nullptr) return nullptr;
    const int fd = ::open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return nullptr;
    void* memory = ::mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    return memory == MAP_FAILED ? nullptr : static_cast<Control*>(memory);
  }();
  return mapped;
}

/// True if the caller must fail. Others act here and may not come back.
bool come_to(const char* place) {
  Control* const the = control();
  if (the == nullptr || the->armed == 0 || std::strcmp(the->place, place) != 0) return false;
  const auto action = static_cast<Action>(the->action.load());
  if (action == Action::kFailUntilDisarmed) {
    ++the->reached;
    return true;
  }
  if (--the->countdown != 0) return false;
  the->armed = 0;
  the->pid = ::getpid();
  ++the->reached;
  switch (action) {
    case Action::kKillItself:
      ::kill(::getpid(), SIGKILL);
      break;
    case Action::kKillServer:
      ::kill(::getppid(), SIGKILL);
      break;
    case Action::kStandStill:
      ::kill(::getpid(), SIGSTOP);
      break;
    case Action::kFailWithIoError:
    case Action::kFailUntilDisarmed:
      return true;
  }
  return false;
}

/// 0 or -1 with errno, as the calls that it stands for.
template <typename Sync>
int answer(Sync sync) {
  int failed = EIO;
  try {
    failed = sync();
  } catch (const std::exception&) {
    failed = EIO;
  }
  if (failed == 0) return 0;
  errno = failed;
  return -1;
}

int sync_descriptor(int fd, const char* name) {
  const int saved = errno;
  std::string path;
  if (disk() == nullptr || !disk()->is_ours(fd, &path)) {
    errno = saved;
    return next_of<int (*)(int)>(name)(fd);
  }
  const bool is_log = path.find("/pg_wal/") != std::string::npos;
  const bool is_rows = path.find("/base/") != std::string::npos;
  if ((is_log && come_to("log_sync_fails")) || (is_rows && come_to("rows_sync_fails"))) {
    errno = EIO;
    return -1;
  }
  if (is_log) come_to("before_log_sync");
  const int answered = answer([fd] { return disk()->sync_descriptor(fd); });
  if (is_log) come_to("after_log_sync");
  if (is_rows) come_to("after_rows_sync");
  if (answered == 0) errno = saved;
  return answered;
}

}  // namespace

EXPORTED int fsync(int fd) { return sync_descriptor(fd, "fsync"); }
EXPORTED int fdatasync(int fd) { return sync_descriptor(fd, "fdatasync"); }

EXPORTED int syncfs(int fd) {
  std::string path;
  if (disk() == nullptr || !disk()->is_ours(fd, &path)) return next_of<int (*)(int)>("syncfs")(fd);
  return answer([] { return disk()->sync_all(); });
}

EXPORTED void sync() {
  if (disk() != nullptr) (void)answer([] { return disk()->sync_all(); });
}

/// The answer to a COMMIT is the one message that a client may rely on.
EXPORTED ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  static const auto next = next_of<ssize_t (*)(int, const void*, size_t, int)>("send");
  static constexpr char kCommitted[] = "COMMIT";  // with its zero: of CommandComplete
  const bool commits = ::memmem(bytes, size, kCommitted, sizeof kCommitted) != nullptr;
  if (commits) come_to("before_answer");
  const ssize_t sent = next(fd, bytes, size, flags);
  if (commits) come_to("after_answer");
  return sent;
}

/// The planted module's stop points (query_processor/plant.h) come here.
EXPORTED void zorya_stop_point(const char* place) { come_to(place); }
