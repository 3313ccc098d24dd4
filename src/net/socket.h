#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <filesystem>
#include <string>

namespace zorya::net {

/// A listening TCP socket, non-blocking and closed on exec. `address` is an IP address; port 0
/// takes a free one. kAlreadyExists if the port is taken.
base::Result<base::UniqueFd> listen_tcp(const std::string& address, std::uint16_t port,
                                        int backlog);

/// The port that a TCP socket is bound to.
base::Result<std::uint16_t> local_port(int fd);

/// A non-blocking stream socket connected to `path`. kUnavailable if nobody accepts there now.
base::Result<base::UniqueFd> connect_unix(const std::filesystem::path& path);

/// Non-blocking, closed on exec, no Nagle, keep-alive after a minute. What the kernel refuses is
/// left out: a Unix socket has none of it.
void prepare_stream(int fd);

/// "127.0.0.1:50312", for logs; empty if there is no peer.
std::string peer_name(int fd);

/// The error of an asynchronous operation on the socket, cleared by reading; 0 if none.
int take_socket_error(int fd);

}  // namespace zorya::net
