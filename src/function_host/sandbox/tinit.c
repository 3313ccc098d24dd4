/* tinit: the one small static program around every environment.
 *
 *   tinit stage            started by the host with the control socket on fd 3 and the log pipe on
 * 1 and 2: makes the namespaces, builds the root, gives everything up, starts the runtime, becomes
 * pid 1 tinit mounts MODE MB   started by the host with an environment's pidfd on fd 3: makes that
 * clone's /proc and /tmp from outside, so that a template's filter needs no mount(2) tinit pid1
 * MODE PID    what stage and libzorya_clone become. MODE e: leave when the runtime leaves (the
 * kernel then ends the rest); MODE t: stay until no child is left, so that clones outlive their
 * template
 */
#include "common.h"
#include <dirent.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x1
#define MOUNT_ATTR_NOSUID 0x2
#define MOUNT_ATTR_NODEV 0x4
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

static int control = ZORYA_CONTROL_FD;

static _Noreturn void fail(const char* what, const char* which, int error) {
  char text[4600];
  int n =
      snprintf(text, sizeof text, "E%s%s%s: %s", what, which[0] ? " " : "", which, strerror(error));
  send(control, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1, MSG_NOSIGNAL);
  _exit(126);
}

/* ---- the start message ---- */

struct record {
  unsigned char tag;
  uint32_t size;
  const char* bytes;
};

static char message[ZORYA_MESSAGE_BYTES_MAX];
static size_t message_size;

/* Gives the record at *at and moves on; 0 at the end. The host wrote this message: a bad one is a
 * bug. */
static int next_record(size_t* at, struct record* out) {
  if (*at + 5 > message_size) return 0;
  out->tag = (unsigned char)message[*at];
  memcpy(&out->size, message + *at + 1, 4);
  out->bytes = message + *at + 5;
  if (out->size > message_size - *at - 5) fail("start message", "", EBADMSG);
  *at += 5 + out->size;
  return 1;
}

#define FOR_RECORDS(r, wanted)                                        \
  for (size_t at_ = sizeof(struct zorya_start_header), go_ = 1; go_;) \
    for (struct record r; (go_ = (size_t)next_record(&at_, &r));)     \
      if (r.tag == (wanted))

/* ---- the root ---- */

static const char kRoot[] = "/mnt"; /* any folder that exists everywhere */

static void inside(char* out, const char* path) {
  if (snprintf(out, 4096, "%s%s", kRoot, path) >= 4096) fail("path", path, ENAMETOOLONG);
}

static void make_parents(const char* path) {
  char copy[4096];
  snprintf(copy, sizeof copy, "%s", path);
  for (char* slash = copy + sizeof kRoot; (slash = strchr(slash, '/')); slash++) {
    *slash = 0;
    if (mkdir(copy, 0755) && errno != EEXIST) fail("make", copy, errno);
    *slash = '/';
  }
}

static void make_file(const char* path, const char* bytes, size_t size) {
  char full[4096];
  inside(full, path);
  make_parents(full);
  int fd = open(full, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0 || (size && write(fd, bytes, size) != (ssize_t)size)) fail("write", path, errno);
  close(fd);
}

/* A mount's own flags that were set outside are locked in here: a new set must hold them too. */
static void seal(const char* path) {
  struct {
    uint64_t set, clear, propagation, userns;
  } attributes = {MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, 0, 0};
  if (syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &attributes, sizeof attributes)) {
    fail("make read-only", path, errno);
  }
}

static int mount_count;
static int source_fds[256];

/* Sources are opened while we still are who started us: they may lie under a folder that only he
 * can enter. */
static void open_sources(void) {
  FOR_RECORDS(r, ZORYA_REC_MOUNT) {
    if (mount_count == 256) fail("mounts", r.bytes, E2BIG);
    int fd = open(r.bytes, O_PATH | O_CLOEXEC);
    if (fd < 0) fail("open", r.bytes, errno);
    source_fds[mount_count++] = fd;
  }
}

static void bind_sources(void) {
  int i = 0;
  FOR_RECORDS(r, ZORYA_REC_MOUNT) {
    const char* target = r.bytes + strlen(r.bytes) + 1;
    char full[4096], source[64];
    struct stat st;
    inside(full, target);
    make_parents(full);
    if (fstat(source_fds[i], &st)) fail("stat", r.bytes, errno);
    if (S_ISDIR(st.st_mode)) {
      if (mkdir(full, 0755) && errno != EEXIST) fail("make", target, errno);
    } else if (access(full, F_OK)) {
      make_file(target, "", 0);
    }
    snprintf(source, sizeof source, "/proc/self/fd/%d", source_fds[i]);
    if (mount(source, full, NULL, MS_BIND | MS_REC, NULL)) fail("bind", r.bytes, errno);
    seal(full);
    close(source_fds[i++]);
  }
}

static void make_devices(void) {
  static const char* const names[] = {"null", "zero", "full", "random", "urandom"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char host[32], full[4096];
    snprintf(host, sizeof host, "/dev/%s", names[i]);
    if (access(host, F_OK)) continue; /* a container may have fewer */
    make_file(host, "", 0);
    inside(full, host);
    if (mount(host, full, NULL, MS_BIND, NULL)) fail("bind", host, errno);
  }
}

static void build_root(const struct zorya_start_header* h) {
  char full[4096], options[96];
  if (mount(kRoot + 0, kRoot, "tmpfs", MS_NOSUID | MS_NODEV, "size=2m,nr_inodes=4k,mode=755")) {
    fail("mount", "root", errno);
  }
  static const char* const folders[] = {"/dev", "/etc", "/proc", "/run",      "/run/up",
                                        "/tmp", "/var", "/opt",  "/var/task", "/old"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
    inside(full, folders[i]);
    if (mkdir(full, 0755)) fail("make", folders[i], errno);
  }
  bind_sources();
  FOR_RECORDS(f, ZORYA_REC_FILE) {
    size_t name = strlen(f.bytes) + 1;
    make_file(f.bytes, f.bytes + name, f.size - name);
  }
  FOR_RECORDS(l, ZORYA_REC_LINK) {
    inside(full, l.bytes);
    make_parents(full);
    if (symlink(l.bytes + strlen(l.bytes) + 1, full)) fail("link", l.bytes, errno);
  }
  make_devices();
  snprintf(options, sizeof options, "size=%um,nr_inodes=100k,mode=1777", h->tmp_mb);
  inside(full, "/tmp");
  if (mount("tmpfs", full, "tmpfs", MS_NOSUID | MS_NODEV, options)) fail("mount", "/tmp", errno);
  inside(full, "/proc");
  if (mount("proc", full, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) {
    fail("mount", "/proc", errno);
  }
  char old[4096];
  inside(old, "/old");
  if (syscall(SYS_pivot_root, kRoot, old)) fail("pivot_root", "", errno);
  if (chdir("/") || umount2("/old", MNT_DETACH) || rmdir("/old")) fail("leave old root", "", errno);
  if (mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL)) {
    fail("make read-only", "/", errno);
  }
}

/* ---- pid 1 ---- */

static _Noreturn void serve_as_pid1(int stays, int main_pid) {
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  for (;;) {
    int status;
    pid_t pid = wait4(-1, &status, 0, NULL);
    if (pid < 0 && errno == ECHILD) _exit(0);
    if (pid != main_pid) continue;
    char text[1 + sizeof status];
    text[0] = 'W';
    memcpy(text + 1, &status, sizeof status);
    send(control, text, sizeof text, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (!stays) _exit(0);
  }
}

/* ---- stage ---- */

static _Noreturn void start_runtime(const struct zorya_start_header* h) {
  static char* argv[256];
  static char* environment[1024];
  int argc = 0, envc = 0;
  FOR_RECORDS(a, ZORYA_REC_ARG) if (argc < 255) argv[argc++] = (char*)a.bytes;
  FOR_RECORDS(e, ZORYA_REC_ENV) if (envc < 1023) environment[envc++] = (char*)e.bytes;
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  fcntl(control, F_SETFD, h->is_template ? 0 : FD_CLOEXEC);
  close_range(control + 1, ~0U, 0);
  if (argc == 0) fail("start", "no program", EINVAL);
  execve(argv[0], argv, environment);
  fail("start", argv[0], errno);
}

static _Noreturn void become_environment(const struct zorya_start_header* h, int mapped) {
  char byte;
  if (read(mapped, &byte, 1) != 1)
    _exit(126); /* the parent could not write our maps, and said so */
  close(mapped);
  if (zorya_ask(control, 'M')) _exit(126);
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) fail("mount", "private", errno);
  open_sources();
  if (h->as_root && syscall(SYS_setgroups, 0, NULL)) fail("setgroups", "", errno);
  if (syscall(SYS_setresgid, ZORYA_INSIDE_ID, ZORYA_INSIDE_ID, ZORYA_INSIDE_ID) ||
      syscall(SYS_setresuid, ZORYA_INSIDE_ID, ZORYA_INSIDE_ID, ZORYA_INSIDE_ID)) {
    fail("setresuid", "", errno);
  }
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  umask(022);
  setsid();
  build_root(h);
  int rc;
  if ((rc = zorya_loopback_up())) fail("loopback", "", -rc);
  if ((rc = zorya_send_listeners(control))) fail("listeners", "", -rc);
  if (h->is_template) {
    char last[16];
    snprintf(last, sizeof last, "%d", ZORYA_TEMPLATE_PID - 1);
    if ((rc = zorya_put("/proc/sys/kernel/ns_last_pid", last))) fail("ns_last_pid", "", -rc);
  }
  if (chdir("/var/task")) fail("enter", "/var/task", errno);
  if ((rc = zorya_set_limits(h->process_count_max))) fail("limits", "", -rc);
  if ((rc = zorya_drop_capabilities())) fail("capabilities", "", -rc);
  FOR_RECORDS(s, ZORYA_REC_FILTER) {
    if ((rc = zorya_install_filter(s.bytes, s.size))) fail("filter", "", -rc);
  }
  /* Last, for a change of ids clears it; and then is the host still there? */
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (zorya_ask(control, 'R')) _exit(126);
  pid_t child = fork();
  if (child < 0) fail("fork", "", errno);
  if (child == 0) start_runtime(h);
  char pid[16];
  snprintf(pid, sizeof pid, "%d", (int)child);
  char* argv[] = {(char*)"tinit", (char*)"pid1", (char*)(h->is_template ? "t" : "e"), pid, NULL};
  char* environment[] = {NULL};
  execve("/tinit", argv, environment);
  fail("start", "/tinit", errno);
}

static int write_maps(const struct zorya_start_header* h, pid_t pid) {
  char path[64], text[64];
  int rc;
  if (!h->as_root) {
    snprintf(path, sizeof path, "/proc/%d/setgroups", (int)pid);
    if ((rc = zorya_put(path, "deny"))) return rc;
  }
  snprintf(path, sizeof path, "/proc/%d/uid_map", (int)pid);
  snprintf(text, sizeof text, "%d %u 1", ZORYA_INSIDE_ID, h->map_uid);
  if ((rc = zorya_put(path, text))) return rc;
  snprintf(path, sizeof path, "/proc/%d/gid_map", (int)pid);
  snprintf(text, sizeof text, "%d %u 1", ZORYA_INSIDE_ID, h->map_gid);
  return zorya_put(path, text);
}

static int stage(void) {
  ssize_t n = recv(control, message, sizeof message, 0);
  if (n < (ssize_t)sizeof(struct zorya_start_header)) return 126;
  message_size = (size_t)n;
  struct zorya_start_header header;
  memcpy(&header, message, sizeof header);
  int mapped[2];
  if (pipe2(mapped, O_CLOEXEC)) fail("pipe", "", errno);
  /* CLONE_PARENT: the host itself is pid 1's parent, so nothing of ours stays in between. */
  pid_t pid = (pid_t)syscall(SYS_clone, ZORYA_NAMESPACES | CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
  if (pid < 0) fail("namespaces", "", errno);
  if (pid == 0) {
    close(mapped[1]);
    become_environment(&header, mapped[0]);
  }
  int rc = write_maps(&header, pid);
  if (rc) fail("id map", "", -rc);
  return write(mapped[1], "g", 1) == 1 ? 0 : 126;
}

/* ---- mounts ---- */

static int copy_folder(int from, int to) {
  int listing = dup(from);
  DIR* dir = listing < 0 ? NULL : fdopendir(listing);
  if (!dir) return -errno;
  rewinddir(dir);
  static char buffer[65536];
  struct dirent* entry;
  int rc = 0;
  while (!rc && (entry = readdir(dir))) {
    const char* name = entry->d_name;
    struct stat st;
    if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW)) {
      rc = -errno;
    } else if (S_ISDIR(st.st_mode)) {
      if (mkdirat(to, name, st.st_mode & 07777)) {
        rc = -errno;
        continue;
      }
      int a = openat(from, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
      int b = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
      rc = a < 0 || b < 0 ? -errno : copy_folder(a, b);
      close(a);
      close(b);
    } else if (S_ISREG(st.st_mode)) {
      int a = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
      int b = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 07777);
      if (a < 0 || b < 0) rc = -errno;
      for (ssize_t n; !rc && (n = read(a, buffer, sizeof buffer)) > 0;) {
        if (write(b, buffer, (size_t)n) != n) rc = -errno;
      }
      close(a);
      close(b);
    } else if (S_ISLNK(st.st_mode)) {
      char target[4096];
      ssize_t n = readlinkat(from, name, target, sizeof target - 1);
      if (n > 0) {
        target[n] = 0;
        if (symlinkat(target, to, name)) rc = -errno;
      }
    }
  }
  closedir(dir);
  return rc;
}

static const char* mount_tmp(char mode, unsigned mb) {
  char options[96];
  snprintf(options, sizeof options, "size=%um,nr_inodes=100k,mode=1777", mb);
  if (mode == ZORYA_TMP_EMPTY) {
    return mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, options) ? "mount /tmp" : NULL;
  }
  if (mount("tmpfs", "/run/up", "tmpfs", MS_NOSUID | MS_NODEV, options)) return "mount /run/up";
  if (mode == ZORYA_TMP_OVERLAY) {
    if (mkdir("/run/up/u", 01777) || chmod("/run/up/u", 01777) || mkdir("/run/up/w", 0700)) {
      return "make overlay folders";
    }
    if (mount("overlay", "/tmp", "overlay", MS_NOSUID | MS_NODEV,
              "lowerdir=/tmp,upperdir=/run/up/u,workdir=/run/up/w,userxattr")) {
      return "mount overlay";
    }
    return umount2("/run/up", MNT_DETACH) ? "detach /run/up" : NULL;
  }
  int a = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int b = open("/run/up", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int rc = a < 0 || b < 0 ? -errno : copy_folder(a, b);
  close(a);
  close(b);
  if (rc) {
    errno = -rc;
    return "copy /tmp";
  }
  return mount("/run/up", "/tmp", NULL, MS_MOVE, NULL) ? "move /tmp" : NULL;
}

/* Errors go to standard output, which the host reads. */
static int mounts(char mode, unsigned mb, int as_root) {
  /* The namespace belongs to tenants: take nothing else along, and be no one's to look at. */
  close_range(ZORYA_CONTROL_FD + 1, ~0U, 0);
  if (setns(ZORYA_CONTROL_FD, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS)) {
    dprintf(1, "enter namespaces: %s", strerror(errno));
    return 1;
  }
  close(ZORYA_CONTROL_FD);
  if (as_root && (syscall(SYS_setresgid, ZORYA_INSIDE_ID, ZORYA_INSIDE_ID, ZORYA_INSIDE_ID) ||
                  syscall(SYS_setresuid, ZORYA_INSIDE_ID, ZORYA_INSIDE_ID, ZORYA_INSIDE_ID))) {
    dprintf(1, "setresuid: %s", strerror(errno));
    return 1;
  }
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  umask(0);
  pid_t child = fork(); /* only a child is inside the pid namespace, which /proc needs */
  if (child < 0) return 1;
  if (child == 0) {
    if (as_root) syscall(SYS_setgroups, 0, NULL);
    const char* what = mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)
                           ? "mount /proc"
                           : mount_tmp(mode, mb);
    if (what) dprintf(1, "%s: %s", what, strerror(errno));
    _exit(what ? 1 : 0);
  }
  int status;
  return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
  if (argc == 2 && !strcmp(argv[1], "stage")) return stage();
  if (argc == 5 && !strcmp(argv[1], "mounts")) {
    return mounts(argv[2][0], (unsigned)atoi(argv[3]), argv[4][0] == 'r');
  }
  if (argc == 4 && !strcmp(argv[1], "pid1")) {
    close_range(0, ZORYA_CONTROL_FD - 1, 0);
    close_range(ZORYA_CONTROL_FD + 1, ~0U, 0);
    serve_as_pid1(argv[2][0] == 't', atoi(argv[3]));
  }
  return 2;
}
