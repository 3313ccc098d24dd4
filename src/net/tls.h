#pragma once

#include "base/result.h"
#include "net/authority.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace zorya::net {

enum class TlsStatus {
  kOk,
  kWantRead,   // wait until the socket is readable, then call again
  kWantWrite,  // wait until it is writable, then call again with the same bytes
  kClosed,     // the peer has ended the stream
  kFailed,     // see failure()
};

struct TlsResult {
  TlsStatus status = TlsStatus::kFailed;
  std::size_t size_bytes = 0;  // read or written
};

/// Why a stream failed.
struct TlsFailure {
  std::string text;
  /// The peer's alert says that it does not trust our certificate or its authority.
  bool peer_distrusts_us = false;
};

/// The server's side of TLS on a non-blocking socket that the caller owns and that outlives this
/// object. One thread at a time. A write to a peer that is gone raises SIGPIPE: the caller's thread
/// blocks or ignores it.
class TlsStream {
 public:
  virtual ~TlsStream() = default;
  virtual TlsResult handshake() = 0;
  virtual TlsResult read(std::span<char> out) = 0;
  /// May write a part; never called with nothing.
  virtual TlsResult write(std::span<const char> data) = 0;
  /// True if bytes that were received already wait inside: read again before waiting.
  [[nodiscard]] virtual bool has_pending() const = 0;
  /// Says goodbye; the answer is not waited for.
  virtual void close() = 0;
  [[nodiscard]] virtual const TlsFailure& failure() const = 0;
  /// What the client asked for by SNI, in lower case; empty if it did not.
  [[nodiscard]] virtual std::string server_name() const = 0;
  /// True if both agreed on the server's protocol by ALPN.
  [[nodiscard]] virtual bool protocol_agreed() const = 0;
};

/// Makes streams: TLS 1.2 and 1.3, ciphers with forward secrecy, no tickets, no renegotiation.
class TlsServer {
 public:
  struct Options {
    Authority* authority = nullptr;  // outlives the server and its streams
    /// The ALPN name; a client that offers others only is refused by an alert.
    std::string protocol;
    /// Is there a server of this name (lower case)? If not, the client gets the certificate of
    /// localhost. Called from within handshake().
    std::function<bool(std::string_view name)> name_exists;
  };
  static base::Result<std::unique_ptr<TlsServer>> create(Options options);
  virtual ~TlsServer() = default;

  /// `fd` is borrowed for the life of the stream.
  virtual base::Result<std::unique_ptr<TlsStream>> accept(int fd) = 0;
};

}  // namespace zorya::net
