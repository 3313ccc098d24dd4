/* One environment out of the calling, single-threaded template T:
 *
 *   T --clone(CLONE_VM|CLONE_VFORK|CLONE_PARENT|namespaces), its own small stack--> I
 *   I  shares T's memory while T sleeps, so no page table is copied. It makes the environment
 * (maps, listeners, dead sockets, files, limits), gives up every capability and installs the strict
 * filter, once for both; then fork() -> C, and execve("/tinit"): pid 1. That wakes T. C  the only
 * copy of the page tables, already finished; jumps back onto T's copied stack and returns 0.
 */
#include "common.h"
#include "zorya_clone.h"
#include <dirent.h>
#include <linux/rseq.h>
#include <malloc.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/mman.h>

#define ZORYA_EXPORT __attribute__((visibility("default")))

extern void PyOS_BeforeFork(void) __attribute__((weak));
extern void PyOS_AfterFork_Parent(void) __attribute__((weak));
extern void PyOS_AfterFork_Child(void) __attribute__((weak));
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned __rseq_size __attribute__((weak));

/* The one clone(2) word with namespaces that a template's filter lets through. filter.cc knows it
 * too. */
#define CLONE_WORD (ZORYA_NAMESPACES | CLONE_VM | CLONE_VFORK | CLONE_PARENT | SIGCHLD)

static struct {
  int environment; /* the clone's socket to the host */
  int log;         /* its output pipe */
  uint32_t process_count_max;
  unsigned uid, gid;
  sigset_t old_mask;
  jmp_buf back;
  size_t filter_size;
  char filter[ZORYA_FILTER_BYTES_MAX];
} job;

static char stack_of_i[256 * 1024] __attribute__((aligned(64)));
static char copy_buffer[65536];

static _Noreturn void give_up(const char* what, int error) {
  char text[256];
  int n = snprintf(text, sizeof text, "E%s: %s", what, strerror(error));
  send(job.environment, text, (size_t)n, MSG_NOSIGNAL);
  _exit(126);
}

static int list_fds(int* fds, int count_max) {
  DIR* dir = opendir("/proc/self/fd");
  if (!dir) return -errno;
  int count = 0;
  struct dirent* entry;
  while ((entry = readdir(dir)) && count < count_max) {
    int fd = atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != dirfd(dir)) fds[count++] = fd;
  }
  closedir(dir);
  return count;
}

/* A datagram socket has no connection to lose: libraries that send traces keep one for good. Gives
 * a fresh one of this clone's network namespace, with the peer it had; -1 if `fd` is of another
 * kind. */
static int fresh_datagram_socket(int fd, int type) {
  int family = 0, flags = fcntl(fd, F_GETFL);
  socklen_t size = sizeof family;
  if (type != SOCK_DGRAM || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size)) return -1;
  if (family != AF_INET && family != AF_INET6) return -1;
  int fresh =
      socket(family, SOCK_DGRAM | SOCK_CLOEXEC | (flags & O_NONBLOCK ? SOCK_NONBLOCK : 0), 0);
  struct sockaddr_storage peer;
  socklen_t peer_size = sizeof peer;
  if (fresh >= 0 && getpeername(fd, (struct sockaddr*)&peer, &peer_size) == 0 &&
      connect(fresh, (struct sockaddr*)&peer, peer_size)) {
    close(fresh);
    return -1;
  }
  return fresh;
}

/* Every inherited socket belongs to the template's network namespace and is shared with all
 * siblings: a dead one takes its place, so that a library sees a lost connection and never a
 * sibling's bytes. */
static int bury_sockets(void) {
  int pair[2], fds[1024] = {0};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) return -errno;
  close(pair[1]);
  int count = list_fds(fds, 1024);
  for (int i = 0; i < count; i++) {
    int type;
    socklen_t size = sizeof type;
    if (fds[i] == job.environment || fds[i] == pair[0]) continue;
    if (getsockopt(fds[i], SOL_SOCKET, SO_TYPE, &type, &size)) continue;
    int flags = fcntl(fds[i], F_GETFD);
    int fresh = fresh_datagram_socket(fds[i], type);
    if (dup3(fresh >= 0 ? fresh : pair[0], fds[i], flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0) {
      return -errno;
    }
    if (fresh >= 0) close(fresh);
  }
  close(pair[0]);
  return count < 0 ? count : 0;
}

static int copy_deleted(int from) {
  int to = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (to < 0) return -errno;
  ssize_t n;
  for (off_t at = 0; (n = pread(from, copy_buffer, sizeof copy_buffer, at)) > 0; at += n) {
    if (pwrite(to, copy_buffer, (size_t)n, at) != n) return -errno;
  }
  return to;
}

/* Files that INIT holds open under its /tmp still point into the template's file system, shared by
 * all siblings: reopened by name in the new one with the same flags and offset; a deleted one is
 * copied. */
static int reopen_files(dev_t old_tmp) {
  int fds[1024] = {0};
  int count = list_fds(fds, 1024);
  for (int i = 0; i < count; i++) {
    struct stat st;
    char link[64], path[4096];
    if (fstat(fds[i], &st) || st.st_dev != old_tmp) continue;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fds[i]);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return -errno;
    path[n] = 0;
    int flags = fcntl(fds[i], F_GETFL), fd_flags = fcntl(fds[i], F_GETFD);
    off_t offset = S_ISREG(st.st_mode) ? lseek(fds[i], 0, SEEK_CUR) : 0;
    int fresh;
    if (n > 10 && !strcmp(path + n - 10, " (deleted)")) {
      fresh = copy_deleted(fds[i]);
    } else {
      fresh = open(path, (flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_TMPFILE)) | O_CLOEXEC |
                             (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0));
      if (fresh < 0) fresh = -errno;
    }
    if (fresh < 0) return fresh;
    if (offset > 0) lseek(fresh, offset, SEEK_SET);
    if (dup3(fresh, fds[i], fd_flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0) return -errno;
    close(fresh);
  }
  return count < 0 ? count : 0;
}

#define STEP(what, expression)        \
  do {                                \
    int rc_ = (expression);           \
    if (rc_ < 0) give_up(what, -rc_); \
  } while (0)

static int map_self(void) {
  char text[64];
  int rc;
  if ((rc = zorya_put("/proc/self/setgroups", "deny"))) return rc;
  snprintf(text, sizeof text, "%d %u 1", ZORYA_INSIDE_ID, job.uid);
  if ((rc = zorya_put("/proc/self/uid_map", text))) return rc;
  snprintf(text, sizeof text, "%d %u 1", ZORYA_INSIDE_ID, job.gid);
  return zorya_put("/proc/self/gid_map", text);
}

static int environment_main(void* unused) {
  (void)unused;
  struct stat old_tmp;
  STEP("stat /tmp", stat("/tmp", &old_tmp) ? -errno : 0);
  STEP("id map", map_self());
  STEP("host", zorya_ask(job.environment, 'M')); /* it places us and makes our mounts meanwhile */
  STEP("loopback", zorya_loopback_up());
  STEP("listeners", zorya_send_listeners(job.environment));
  STEP("output", dup2(job.log, 1) < 0 || dup2(job.log, 2) < 0 ? -errno : 0);
  close(job.log);
  STEP("sockets", bury_sockets());
  STEP("files", reopen_files(old_tmp.st_dev));
  STEP("control", job.environment == ZORYA_CONTROL_FD              ? 0
                  : dup3(job.environment, ZORYA_CONTROL_FD, 0) < 0 ? -errno
                                                                   : 0);
  if (job.environment != ZORYA_CONTROL_FD) close(job.environment);
  job.environment = ZORYA_CONTROL_FD;
  STEP("chdir", chdir("/var/task") ? -errno : 0);
  STEP("limits", zorya_set_limits(job.process_count_max));
  STEP("capabilities", zorya_drop_capabilities());
  STEP("filter", zorya_install_filter(job.filter, job.filter_size));
  pid_t child = fork(); /* libc's: thread ids, robust list and atfork handlers are right in C */
  STEP("fork", child < 0 ? -errno : 0);
  if (child == 0) longjmp(job.back, 1);
  char pid[16];
  snprintf(pid, sizeof pid, "%d", (int)child);
  char* argv[] = {(char*)"tinit", (char*)"pid1", (char*)"e", pid, NULL};
  char* environment[] = {NULL};
  execve("/tinit", argv, environment);
  give_up("start /tinit", errno);
}

/* 1 in the clone, 0 in the template, which may go on to make more. */
static int clone_once(void) {
  sigset_t all;
  job.uid = geteuid();
  job.gid = getegid();
  if (PyOS_BeforeFork) PyOS_BeforeFork();
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &job.old_mask);
  if (_setjmp(job.back)) {
    /* CLONE_VM dropped the registration in I; without it sched_getcpu() would answer stale values.
     */
    if (&__rseq_size && __rseq_size) {
      syscall(SYS_rseq, (char*)__builtin_thread_pointer() + __rseq_offset, 32, 0, 0x53053053);
    }
    sigprocmask(SIG_SETMASK, &job.old_mask, NULL);
    if (PyOS_AfterFork_Child) PyOS_AfterFork_Child();
    return 1;
  }
  int environment = job.environment, log = job.log;
  pid_t pid = clone(environment_main, stack_of_i + sizeof stack_of_i, CLONE_WORD, NULL);
  int error = errno;
  job.environment = environment;
  if (pid < 0) {
    char text[128];
    int n = snprintf(text, sizeof text, "Eclone: %s", strerror(error));
    send(environment, text, (size_t)n, MSG_NOSIGNAL);
  }
  close(environment);
  close(log);
  sigprocmask(SIG_SETMASK, &job.old_mask, NULL);
  if (PyOS_AfterFork_Parent) PyOS_AfterFork_Parent();
  return 0;
}

/* Waits for one command and fills `job` from it; exits at the end of the control socket. */
static int receive_command(void) {
  static char message[sizeof(struct zorya_clone_command) + ZORYA_FILTER_BYTES_MAX];
  union {
    char space[CMSG_SPACE(sizeof(int) * 4)];
    struct cmsghdr align;
  } control;
  struct iovec part = {message, sizeof message};
  struct msghdr header;
  memset(&header, 0, sizeof header);
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.space;
  header.msg_controllen = sizeof control.space;
  ssize_t n = recvmsg(ZORYA_CONTROL_FD, &header, MSG_CMSG_CLOEXEC);
  if (n < 0 && errno == EINTR) return 0;
  if (n <= 0) _exit(0);
  struct zorya_clone_command command;
  struct cmsghdr* rights = CMSG_FIRSTHDR(&header);
  if ((size_t)n < sizeof command || !rights || rights->cmsg_type != SCM_RIGHTS ||
      rights->cmsg_len != CMSG_LEN(2 * sizeof(int))) {
    _exit(125);
  }
  memcpy(&command, message, sizeof command);
  memcpy(&job.environment, CMSG_DATA(rights), sizeof(int));
  memcpy(&job.log, CMSG_DATA(rights) + sizeof(int), sizeof(int));
  job.process_count_max = command.process_count_max;
  job.filter_size = (size_t)n - sizeof command;
  memcpy(job.filter, message + sizeof command, job.filter_size);
  return command.op == ZORYA_OP_CLONE;
}

ZORYA_EXPORT int zorya_template_ready(const char* report_json) {
  int type;
  socklen_t size = sizeof type;
  if (getsockopt(ZORYA_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &size) || type != SOCK_SEQPACKET) {
    return 1;
  }
  char text[4096];
  int n = snprintf(text, sizeof text, "U%s", report_json ? report_json : "{}");
  size_t length = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
  char answer;
#ifdef __GLIBC__
  malloc_trim(0);  // what INIT gave back would stay with the template, and be copied by clones
#endif
  if (send(ZORYA_CONTROL_FD, text, length, MSG_NOSIGNAL) < 0) _exit(125);
  if (recv(ZORYA_CONTROL_FD, &answer, 1, 0) != 1 || answer != 'y') _exit(0);
  return 0;
}

ZORYA_EXPORT int zorya_clone_loop(void) {
  for (;;) {
    if (!receive_command()) continue;
    if (!clone_once()) continue;
    char answer;
    if (send(ZORYA_CONTROL_FD, "P", 1, MSG_NOSIGNAL) != 1) _exit(0);
    ssize_t n;
    do {
      n = recv(ZORYA_CONTROL_FD, &answer, 1, 0);
    } while (n < 0 && errno == EINTR);
    if (n != 1 || answer != 'G') _exit(0);
    close(ZORYA_CONTROL_FD);
    return 0;
  }
}
