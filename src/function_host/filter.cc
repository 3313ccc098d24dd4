#include "function_host/filter.h"

#include "base/unique_fd.h"
#include "function_host/sandbox/wire.h"

#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <set>

namespace zorya::function_host {
namespace {

using base::Result;

constexpr std::uint64_t kNamespaceFlags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS |
                                          CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                                          CLONE_NEWCGROUP;
/// Must be CLONE_WORD of sandbox/clone.c.
constexpr std::uint64_t kCloneWord = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET |
                                     CLONE_NEWIPC | CLONE_NEWUTS | CLONE_VM | CLONE_VFORK |
                                     CLONE_PARENT | SIGCHLD;

/// Calls that are allowed whatever their arguments. Names that this kernel's library does not know
/// are passed over: they then give ENOSYS.
constexpr const char* kAllowed[] = {
    // files
    "access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup",
    "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod",
    "fchmodat", "fchmodat2", "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr",
    "flock", "fremovexattr", "fsetxattr", "fstat", "fstatfs", "fsync", "ftruncate", "futimesat",
    "getcwd", "getdents", "getdents64", "getxattr", "lchown", "lgetxattr", "link", "linkat",
    "listxattr", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "mkdir", "mkdirat",
    "newfstatat", "open", "openat", "openat2", "pread64", "preadv", "preadv2", "pwrite64",
    "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "removexattr",
    "rename", "renameat", "renameat2", "rmdir", "sendfile", "setxattr", "splice", "stat", "statfs",
    "statx", "symlink", "symlinkat", "sync_file_range", "syncfs", "tee", "truncate", "umask",
    "unlink", "unlinkat", "utime", "utimensat", "utimes", "vmsplice", "write", "writev",
    "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "memfd_create",
    // memory
    "brk", "madvise", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mprotect", "mremap",
    "msync", "munlock", "munlockall", "munmap", "membarrier", "pkey_alloc", "pkey_free",
    "pkey_mprotect", "get_mempolicy", "shmat", "shmctl", "shmdt", "shmget", "semctl", "semget",
    "semop", "semtimedop", "msgctl", "msgget", "msgrcv", "msgsnd",
    // processes and threads
    "execve", "execveat", "exit", "exit_group", "fork", "vfork", "getegid", "geteuid", "getgid",
    "getgroups", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getresgid", "getresuid",
    "getrlimit", "getrusage", "getsid", "gettid", "getuid", "prctl", "arch_prctl", "prlimit64",
    "setrlimit", "setpgid", "setpriority", "setsid", "setuid", "setgid", "setreuid", "setregid",
    "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "capget", "capset",
    "sched_yield", "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_setparam",
    "sched_getscheduler", "sched_setscheduler", "sched_get_priority_max", "sched_get_priority_min",
    "sched_rr_get_interval", "sched_getattr", "sched_setattr", "ioprio_get", "ioprio_set", "wait4",
    "waitid", "waitpid", "kill", "tkill", "tgkill", "pidfd_open", "pidfd_send_signal", "seccomp",
    "set_tid_address", "set_robust_list", "get_robust_list", "rseq", "futex", "futex_waitv",
    "futex_wait", "futex_wake", "futex_requeue", "restart_syscall", "getcpu", "uname", "sysinfo",
    "times", "getrandom",
    // signals, time, waiting
    "alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "getitimer", "setitimer",
    "gettimeofday", "time", "nanosleep", "pause", "rt_sigaction", "rt_sigpending", "rt_sigprocmask",
    "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo",
    "sigaltstack", "signalfd", "signalfd4", "timer_create", "timer_delete", "timer_getoverrun",
    "timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime", "timerfd_settime",
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "eventfd", "eventfd2", "poll", "ppoll", "select", "pselect6", "pipe", "pipe2",
    // asynchronous files of the older kind; io_uring stays out
    "io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents",
    // sockets (socket, setsockopt and ioctl are listed by argument below)
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "shutdown", "socketpair",
    // landlock only takes rights away
    "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"};

/// Known calls that are refused: programs that probe for them should hear "not permitted".
constexpr const char* kRefused[] = {"acct",
                                    "add_key",
                                    "adjtimex",
                                    "bpf",
                                    "chroot",
                                    "clock_adjtime",
                                    "clock_settime",
                                    "delete_module",
                                    "fanotify_init",
                                    "fanotify_mark",
                                    "finit_module",
                                    "fsconfig",
                                    "fsmount",
                                    "fsopen",
                                    "fspick",
                                    "init_module",
                                    "io_uring_enter",
                                    "io_uring_register",
                                    "io_uring_setup",
                                    "ioperm",
                                    "iopl",
                                    "kcmp",
                                    "kexec_file_load",
                                    "kexec_load",
                                    "keyctl",
                                    "lookup_dcookie",
                                    "mbind",
                                    "migrate_pages",
                                    "mknod",
                                    "mknodat",
                                    "modify_ldt",
                                    "mount",
                                    "mount_setattr",
                                    "move_mount",
                                    "move_pages",
                                    "name_to_handle_at",
                                    "nfsservctl",
                                    "open_by_handle_at",
                                    "open_tree",
                                    "perf_event_open",
                                    "personality",
                                    "pidfd_getfd",
                                    "pivot_root",
                                    "process_madvise",
                                    "process_mrelease",
                                    "process_vm_readv",
                                    "process_vm_writev",
                                    "ptrace",
                                    "quotactl",
                                    "quotactl_fd",
                                    "reboot",
                                    "request_key",
                                    "set_mempolicy",
                                    "setdomainname",
                                    "sethostname",
                                    "setns",
                                    "settimeofday",
                                    "swapoff",
                                    "swapon",
                                    "syslog",
                                    "umount2",
                                    "unshare",
                                    "userfaultfd",
                                    "uselib",
                                    "ustat",
                                    "vhangup",
                                    "stime"};

/// Interface ioctls (0x89xx) that only read; all others of that range could reach bridges and other
/// drivers from inside a user namespace.
constexpr std::uint32_t kInterfaceReads[] = {
    0x8901,           0x8902,        0x8903,       0x8904,
    0x8905,           0x8906,  // owners, marks, stamps
    SIOCGIFNAME,      SIOCGIFCONF,   SIOCGIFFLAGS, SIOCGIFADDR,
    0x8921 /* MTU */, SIOCGIFHWADDR, SIOCGIFINDEX};

/// Other ioctls: file, terminal and pipe control of the kinds that runtimes use.
constexpr std::uint32_t kOtherIoctls[] = {TCGETS,     TCSETS,    TCSETSW,  TCSETSF,
                                          TIOCGWINSZ, TIOCGPGRP, FIONREAD, FIONBIO,
                                          FIOASYNC,   FIOCLEX,   FIONCLEX};

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};

/// Collects the first failure, so that the rules below read as a list.
class Rules {
 public:
  explicit Rules(scmp_filter_ctx context) : context_(context) {}

  template <typename... Comparisons>
  void add(std::uint32_t action, const char* name, Comparisons... comparisons) {
    const int call = seccomp_syscall_resolve_name(name);
    if (call == __NR_SCMP_ERROR || call < 0) return;  // not on this architecture
    known_.insert(call);
    const int rc = seccomp_rule_add(context_, action, call, sizeof...(comparisons), comparisons...);
    if (rc != 0 && error_ == 0) error_ = -rc;
  }
  /// The default action does it; this only makes the call a known one.
  void refuse(const char* name) { known_.insert(seccomp_syscall_resolve_name(name)); }
  /// Calls newer than this code: libraries fall back on ENOSYS, but take EPERM for an answer.
  void hide_unknown(int first, int last) {
    for (int call = first; call <= last; ++call) {
      if (known_.contains(call)) continue;
      const int rc = seccomp_rule_add(context_, SCMP_ACT_ERRNO(ENOSYS), call, 0);
      if (rc != 0 && error_ == 0) error_ = -rc;
    }
  }
  [[nodiscard]] int error() const { return error_; }

 private:
  scmp_filter_ctx context_;
  std::set<int> known_;
  int error_ = 0;
};

constexpr std::uint64_t kLow32 = 0xffffffffU;

void add_process_rules(Rules& rules, FilterKind kind) {
  // clone3 hides its flags behind a pointer; libc falls back to clone.
  rules.add(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  rules.add(SCMP_ACT_ALLOW, "clone", SCMP_A0_64(SCMP_CMP_MASKED_EQ, kNamespaceFlags, 0));
  if (kind == FilterKind::kTemplate) {
    rules.add(SCMP_ACT_ALLOW, "clone", SCMP_A0_64(SCMP_CMP_EQ, kCloneWord));
  }
}

void add_socket_rules(Rules& rules, FilterKind kind) {
  for (const int family : {AF_UNIX, AF_INET, AF_INET6}) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
      rules.add(SCMP_ACT_ALLOW, "socket",
                SCMP_A0_64(SCMP_CMP_MASKED_EQ, kLow32, static_cast<std::uint64_t>(family)),
                SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xf, static_cast<std::uint64_t>(type)));
    }
  }
  // No control of packet filters (option numbers 64 to 127 of IP and IPv6).
  rules.add(SCMP_ACT_ALLOW, "setsockopt", SCMP_A2_64(SCMP_CMP_MASKED_EQ, kLow32 & ~0x3fULL, 0));
  for (const int level : {SOL_SOCKET, 6 /* TCP */, 17 /* UDP */}) {
    rules.add(SCMP_ACT_ALLOW, "setsockopt",
              SCMP_A1_64(SCMP_CMP_MASKED_EQ, kLow32, static_cast<std::uint64_t>(level)),
              SCMP_A2_64(SCMP_CMP_MASKED_EQ, kLow32 & ~0x3fULL, 0x40));
  }
  for (const std::uint32_t request : kInterfaceReads) {
    rules.add(SCMP_ACT_ALLOW, "ioctl", SCMP_A1_64(SCMP_CMP_MASKED_EQ, kLow32, request));
  }
  if (kind == FilterKind::kTemplate) {  // its clones raise their loopback
    rules.add(SCMP_ACT_ALLOW, "ioctl", SCMP_A1_64(SCMP_CMP_MASKED_EQ, kLow32, SIOCSIFFLAGS));
  }
  for (const std::uint32_t request : kOtherIoctls) {
    rules.add(SCMP_ACT_ALLOW, "ioctl", SCMP_A1_64(SCMP_CMP_MASKED_EQ, kLow32, request));
  }
}

Result<std::string> export_program(scmp_filter_ctx context) {
  const base::UniqueFd file(::memfd_create("filter", MFD_CLOEXEC));
  if (!file) return base::errno_error("make filter: memfd_create", errno);
  if (const int rc = seccomp_export_bpf(context, file.get()); rc != 0) {
    return base::errno_error("make filter: export", -rc);
  }
  std::string program(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_CUR)), '\0');
  if (::pread(file.get(), program.data(), program.size(), 0) !=
      static_cast<ssize_t>(program.size())) {
    return base::errno_error("make filter: read", errno);
  }
  if (program.empty() || program.size() > ZORYA_FILTER_BYTES_MAX) {
    return base::Error{base::Code::kInternal, "make filter: the program is too long", ""};
  }
  return program;
}

}  // namespace

Result<std::string> make_filter(FilterKind kind) {
  const std::unique_ptr<void, Release> context(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (!context) return base::Error{base::Code::kInternal, "make filter: seccomp_init failed", ""};
  seccomp_attr_set(context.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
  seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  Rules rules(context.get());
  for (const char* name : kAllowed) rules.add(SCMP_ACT_ALLOW, name);
  for (const char* name : kRefused) rules.refuse(name);
  add_process_rules(rules, kind);
  add_socket_rules(rules, kind);
  rules.hide_unknown(424, 511);
  if (rules.error() != 0) return base::errno_error("make filter: add rule", rules.error());
  return export_program(context.get());
}

}  // namespace zorya::function_host
