#pragma once

#include "base/unique_fd.h"
#include "net/tls.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

// Internal to router: it brings Asio.
namespace zorya::router {

namespace asio = boost::asio;
inline constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

/// A stream socket with or without TLS. Belongs to the router's thread. At most one reader and one
/// writer at a time; close() ends what they wait for. Bytes given to a coroutine are the caller's
/// until it returns, and so is the stream.
class ByteStream {
 public:
  ByteStream(asio::io_context& context, base::UniqueFd socket);

  /// From now on all bytes pass through TLS; `tls` was made for fd().
  void start_tls(std::unique_ptr<net::TlsStream> tls) { tls_ = std::move(tls); }
  [[nodiscard]] const net::TlsStream* tls() const { return tls_.get(); }
  [[nodiscard]] int fd() { return descriptor_.native_handle(); }
  [[nodiscard]] bool is_open() const { return descriptor_.is_open() && !lingering_; }

  /// True when TLS is set up.
  asio::awaitable<bool> handshake();

  /// Reads what is there, waiting for the first byte; 0: the stream has ended or failed. `out` is
  /// written only after the last wait: the caller goes on at once.
  asio::awaitable<std::size_t> read_some(std::span<char> out);
  /// False if the stream ended before.
  asio::awaitable<bool> read_exactly(std::span<char> out);
  asio::awaitable<bool> write_all(std::string_view data);
  /// Reads what is there, without waiting; 0: nothing. Only without TLS, and while nobody reads.
  std::size_t read_now(std::span<char> out);
  /// Writes all of it at once, which fits into an empty buffer, or nothing. Only without TLS, and
  /// while nobody writes.
  bool write_now(std::string_view data);
  /// The first byte that is there, left in place; -1: ended. Only without TLS.
  asio::awaitable<int> peek();

  /// Ends our side and reads what the peer still sends (at most `size_bytes_max`), so that our last
  /// words are not lost to a reset. From its start the stream counts as closed for all others;
  /// close() ends it.
  asio::awaitable<void> linger(std::size_t size_bytes_max);

  void close();

 private:
  net::TlsResult try_read(std::span<char> out);
  net::TlsResult try_write(std::string_view data);
  /// False if the stream was closed meanwhile.
  asio::awaitable<bool> wait(net::TlsStatus status);

  asio::posix::stream_descriptor descriptor_;
  std::unique_ptr<net::TlsStream> tls_;
  bool lingering_ = false;
  // The last read took all there was: another would only be told to wait.
  bool drained_ = false;
};

}  // namespace zorya::router
