/* What the host, tinit and libzorya_clone say to each other over SOCK_SEQPACKET sockets. C and C++.
 *
 * An environment's start (tinit stage, fd 3):        a clone's start (libzorya_clone, its own
 * socket): host  -> stage  one start message                  host  -> template  ZORYA_OP_CLONE +
 * {socket, log pipe} child -> host   'M'  (its pid by credentials)      child -> host      'M' host
 * -> child  'm'  placed in its cgroup          host  -> child     'm'  placed, mounts made from
 * outside child -> host   'L' + ZORYA_LISTENER_COUNT sockets child -> host      'L' + sockets child
 * -> host      'P'  parked host  -> child     'G'  go pid 1 -> host   'W' + wait status of the
 * runtime   pid 1 -> host      'W' + status Any side that fails says 'E' + text and leaves. A
 * template says 'U' + its lint report (JSON) when INIT is done. */
#pragma once

// NOLINTBEGIN(readability-identifier-naming): C, with a prefix for a namespace

#include <stdint.h>

enum { ZORYA_INSIDE_ID = 1000 }; /* uid and gid inside every environment */
enum { ZORYA_CONTROL_FD = 3 };   /* in stage, in pid 1 and in a template's runtime */
enum {
  ZORYA_LISTENER_COUNT = 4
}; /* 9001/tcp, 5432/tcp, 2000/udp, 53/udp on 127.0.0.1, in this order */
enum {
  ZORYA_TEMPLATE_PID = 1000
}; /* far from a clone's pid: OpenSSL tells forks apart by getpid() alone */
enum { ZORYA_MESSAGE_BYTES_MAX = 131072 };
enum { ZORYA_FILTER_BYTES_MAX = 4096 * 8 };

/* The start message: this header, then records {tag u8, size u32 host-endian, bytes}, strings with
 * their NUL. */
struct zorya_start_header {
  uint32_t map_uid, map_gid; /* ids outside that ZORYA_INSIDE_ID stands for */
  uint32_t as_root;          /* the host is root: groups are cleared, ids changed */
  uint32_t is_template;      /* the runtime keeps the control socket and gets ZORYA_TEMPLATE_PID */
  uint32_t tmp_mb;
  uint32_t process_count_max; /* RLIMIT_NPROC */
};

enum zorya_record {
  ZORYA_REC_MOUNT = 'm', /* "host path" NUL "inside path" NUL, read-only */
  ZORYA_REC_FILE = 'f',  /* "inside path" NUL content */
  ZORYA_REC_LINK = 'l',  /* "inside path" NUL "target" NUL */
  ZORYA_REC_ARG = 'a',
  ZORYA_REC_ENV = 'e',
  ZORYA_REC_FILTER = 's', /* struct sock_filter[] */
};

enum { ZORYA_OP_CLONE = 'C' };

/* How a clone's /tmp begins. */
enum zorya_tmp_mode { ZORYA_TMP_EMPTY = 'n', ZORYA_TMP_COPY = 'c', ZORYA_TMP_OVERLAY = 'o' };

/* Host to template, followed by the strict filter's struct sock_filter[]. */
struct zorya_clone_command {
  char op;
  char reserved[3];
  uint32_t process_count_max;
};

// NOLINTEND(readability-identifier-naming)
