/* Shared by tinit and libzorya_clone: C, no allocation, safe after vfork-like clone(2). */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "wire.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ZORYA_NAMESPACES \
  (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static inline int zorya_put(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  ssize_t written = write(fd, text, strlen(text));
  int error = errno;
  close(fd);
  return written < 0 ? -error : 0;
}

static inline int zorya_drop_capabilities(void) {
  for (int cap = 0; cap <= 63; cap++) {
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)) break;
  }
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2];
  memset(data, 0, sizeof data);
  return syscall(SYS_capset, &header, data) ? -errno : 0;
}

static inline int zorya_install_filter(const void* filter, size_t size_bytes) {
  struct sock_fprog program = {(unsigned short)(size_bytes / sizeof(struct sock_filter)),
                               (struct sock_filter*)filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -errno;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) ? -errno : 0;
}

static inline int zorya_loopback_up(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  struct ifreq request;
  memset(&request, 0, sizeof request);
  memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  int result = ioctl(fd, SIOCSIFFLAGS, &request) ? -errno : 0;
  close(fd);
  return result;
}

static inline int zorya_bind_loopback(int type, int port) {
  int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  struct sockaddr_in address;
  memset(&address, 0, sizeof address);
  address.sin_family = AF_INET;
  address.sin_port = htons((uint16_t)port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, (struct sockaddr*)&address, sizeof address) ||
      (type == SOCK_STREAM && listen(fd, 128))) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

static inline int zorya_send(int socket_fd, const void* bytes, size_t size_bytes, const int* fds,
                             int fd_count) {
  struct iovec part = {(void*)bytes, size_bytes};
  union {
    char space[CMSG_SPACE(sizeof(int) * 8)];
    struct cmsghdr align;
  } control;
  struct msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd_count) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.space;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fd_count);
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fd_count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)fd_count);
  }
  return sendmsg(socket_fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* The addresses every environment sees, bound in its own network namespace and handed to the host.
 */
static inline int zorya_send_listeners(int socket_fd) {
  static const struct {
    int type, port;
  } wanted[ZORYA_LISTENER_COUNT] = {
      {SOCK_STREAM, 9001}, {SOCK_STREAM, 5432}, {SOCK_DGRAM, 2000}, {SOCK_DGRAM, 53}};
  int fds[ZORYA_LISTENER_COUNT];
  for (int i = 0; i < ZORYA_LISTENER_COUNT; i++) {
    fds[i] = zorya_bind_loopback(wanted[i].type, wanted[i].port);
    if (fds[i] < 0) return fds[i];
  }
  int result = zorya_send(socket_fd, "L", 1, fds, ZORYA_LISTENER_COUNT);
  for (int i = 0; i < ZORYA_LISTENER_COUNT; i++) close(fds[i]);
  return result;
}

/* One-byte question to the host, one-byte answer. */
static inline int zorya_ask(int socket_fd, char question) {
  char answer;
  if (send(socket_fd, &question, 1, MSG_NOSIGNAL) != 1) return -errno;
  return recv(socket_fd, &answer, 1, 0) == 1 ? 0 : -EPIPE;
}

/* Never above what we were started with: that would take a privilege. */
static inline int zorya_limit(int resource, rlim_t value) {
  struct rlimit limit;
  if (getrlimit(resource, &limit)) return -errno;
  if (value > limit.rlim_max) value = limit.rlim_max;
  limit.rlim_cur = limit.rlim_max = value;
  return setrlimit(resource, &limit) ? -errno : 0;
}

static inline int zorya_set_limits(uint32_t process_count_max) {
  int rc = zorya_limit(RLIMIT_NPROC, process_count_max);
  if (!rc) rc = zorya_limit(RLIMIT_NOFILE, 1024);
  if (!rc) rc = zorya_limit(RLIMIT_CORE, 0);
  if (!rc) rc = zorya_limit(RLIMIT_MEMLOCK, 65536);
  return rc;
}
