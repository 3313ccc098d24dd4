#include "net/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace zorya::net {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size_bytes = 0;
};

base::Result<Address> parse_address(const std::string& text, std::uint16_t port) {
  Address out;
  auto* const four = reinterpret_cast<sockaddr_in*>(&out.storage);
  auto* const six = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    out.size_bytes = sizeof(sockaddr_in);
  } else if (inet_pton(AF_INET6, text.c_str(), &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    out.size_bytes = sizeof(sockaddr_in6);
  } else {
    return base::Error{base::Code::kInvalidArgument, "not an IP address: " + text, {}};
  }
  return out;
}

void set_option(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

}  // namespace

base::Result<base::UniqueFd> listen_tcp(const std::string& address, std::uint16_t port,
                                        int backlog) {
  ZORYA_ASSIGN(const Address where, parse_address(address, port));
  const std::string name = address + ":" + std::to_string(port);
  base::UniqueFd fd(
      ::socket(where.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return base::errno_error("socket", errno);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&where.storage), where.size_bytes) != 0 ||
      ::listen(fd.get(), backlog) != 0) {
    if (errno == EADDRINUSE) {
      return base::Error{base::Code::kAlreadyExists, "listen on " + name + ": port is in use", {}};
    }
    return base::errno_error("listen on " + name, errno);
  }
  return fd;
}

base::Result<std::uint16_t> local_port(int fd) {
  sockaddr_storage storage{};
  socklen_t size_bytes = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size_bytes) != 0) {
    return base::errno_error("getsockname", errno);
  }
  if (storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

base::Result<base::UniqueFd> connect_unix(const std::filesystem::path& path) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  const std::string& name = path.native();
  if (name.size() >= sizeof where.sun_path) {
    return base::Error{base::Code::kInvalidArgument, "socket path is too long: " + name, {}};
  }
  std::memcpy(where.sun_path, name.c_str(), name.size() + 1);
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return base::errno_error("socket", errno);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) {
    base::Error error = base::errno_error("connect to " + name, errno);
    // EAGAIN: the backlog of a Unix socket is full; there is no connection in progress.
    if (errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN) {
      error.code = base::Code::kUnavailable;
    }
    return error;
  }
  return fd;
}

void prepare_stream(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

std::string peer_name(int fd) {
  sockaddr_storage storage{};
  socklen_t size_bytes = sizeof storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size_bytes) != 0) return {};
  char text[INET6_ADDRSTRLEN] = {};
  if (storage.ss_family == AF_INET) {
    const auto* const four = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &four->sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(four->sin_port));
  }
  if (storage.ss_family == AF_INET6) {
    const auto* const six = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text);
    return "[" + std::string(text) + "]:" + std::to_string(ntohs(six->sin6_port));
  }
  return "local";
}

int take_socket_error(int fd) {
  int error = 0;
  socklen_t size_bytes = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size_bytes) == 0 ? error : errno;
}

}  // namespace zorya::net
