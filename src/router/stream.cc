#include "router/stream.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace zorya::router {
namespace {

using net::TlsResult;
using net::TlsStatus;

TlsResult from_errno(TlsStatus would_block) {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {would_block, 0};
  return {TlsStatus::kFailed, 0};
}

bool must_wait(TlsStatus status) {
  return status == TlsStatus::kWantRead || status == TlsStatus::kWantWrite;
}

}  // namespace

ByteStream::ByteStream(asio::io_context& context, base::UniqueFd socket)
    : descriptor_(context, socket.release()) {}

asio::awaitable<bool> ByteStream::handshake() {
  while (is_open()) {
    const TlsStatus status = tls_->handshake().status;
    if (!must_wait(status)) co_return status == TlsStatus::kOk;
    if (!co_await wait(status)) co_return false;
  }
  co_return false;
}

asio::awaitable<std::size_t> ByteStream::read_some(std::span<char> out) {
  if (drained_) {
    drained_ = false;
    if (!co_await wait(TlsStatus::kWantRead)) co_return 0;
  }
  std::size_t size = 0;
  while (is_open()) {
    const TlsResult result = try_read(out.subspan(size));
    size += result.size_bytes;
    if (result.status == TlsStatus::kOk) {
      if (size == out.size()) co_return size;
      if (tls_ && tls_->has_pending()) continue;
      drained_ = true;
      co_return size;
    }
    // What ends the stream will be seen again by the next read.
    if (size > 0 || !must_wait(result.status)) co_return size;
    if (!co_await wait(result.status)) co_return 0;
  }
  co_return 0;
}

asio::awaitable<bool> ByteStream::read_exactly(std::span<char> out) {
  std::size_t size = 0;
  while (size < out.size()) {
    if (!is_open()) co_return false;
    const TlsResult result = try_read(out.subspan(size));
    size += result.size_bytes;
    if (result.status == TlsStatus::kOk) continue;
    if (!must_wait(result.status)) co_return false;
    if (!co_await wait(result.status)) co_return false;
  }
  co_return true;
}

asio::awaitable<bool> ByteStream::write_all(std::string_view data) {
  while (!data.empty()) {
    if (!is_open()) co_return false;
    const TlsResult result = try_write(data);
    data.remove_prefix(result.size_bytes);
    if (result.status == TlsStatus::kOk) continue;
    if (!must_wait(result.status)) co_return false;
    if (!co_await wait(result.status)) co_return false;
  }
  co_return true;
}

std::size_t ByteStream::read_now(std::span<char> out) {
  if (!is_open()) return 0;
  const TlsResult result = try_read(out);
  return result.status == TlsStatus::kOk ? result.size_bytes : 0;
}

bool ByteStream::write_now(std::string_view data) {
  if (!is_open()) return false;
  const TlsResult result = try_write(data);
  return result.status == TlsStatus::kOk && result.size_bytes == data.size();
}

asio::awaitable<int> ByteStream::peek() {
  while (is_open()) {
    char byte = 0;
    const ssize_t size = ::recv(fd(), &byte, 1, MSG_PEEK);
    if (size == 1) co_return static_cast<unsigned char>(byte);
    if (size == 0 || from_errno(TlsStatus::kWantRead).status != TlsStatus::kWantRead) co_return -1;
    if (!co_await wait(TlsStatus::kWantRead)) co_return -1;
  }
  co_return -1;
}

asio::awaitable<void> ByteStream::linger(std::size_t size_bytes_max) {
  if (!is_open()) co_return;
  if (tls_) tls_->close();
  tls_.reset();
  lingering_ = true;
  ::shutdown(fd(), SHUT_WR);
  std::array<char, 4096> waste;
  std::size_t size_bytes = 0;
  while (descriptor_.is_open() && size_bytes < size_bytes_max) {
    const ssize_t some = ::recv(fd(), waste.data(), waste.size(), 0);
    if (some > 0) {
      size_bytes += static_cast<std::size_t>(some);
      continue;
    }
    if (some == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) co_return;
    const auto [error] =
        co_await descriptor_.async_wait(asio::posix::descriptor_base::wait_read, kAwait);
    if (error) co_return;
  }
}

void ByteStream::close() {
  if (!descriptor_.is_open()) return;
  if (tls_) tls_->close();
  tls_.reset();
  boost::system::error_code ignored;
  descriptor_.close(ignored);
}

TlsResult ByteStream::try_read(std::span<char> out) {
  if (tls_) return tls_->read(out);
  const ssize_t size = ::recv(fd(), out.data(), out.size(), 0);
  if (size < 0) return from_errno(TlsStatus::kWantRead);
  if (size == 0) return {TlsStatus::kClosed, 0};
  return {TlsStatus::kOk, static_cast<std::size_t>(size)};
}

TlsResult ByteStream::try_write(std::string_view data) {
  if (tls_) return tls_->write(data);
  const ssize_t size = ::send(fd(), data.data(), data.size(), MSG_NOSIGNAL);
  if (size < 0) return from_errno(TlsStatus::kWantWrite);
  return {TlsStatus::kOk, static_cast<std::size_t>(size)};
}

asio::awaitable<bool> ByteStream::wait(TlsStatus status) {
  const auto what = status == TlsStatus::kWantWrite ? asio::posix::descriptor_base::wait_write
                                                    : asio::posix::descriptor_base::wait_read;
  const auto [error] = co_await descriptor_.async_wait(what, kAwait);
  co_return !error && is_open();
}

}  // namespace zorya::router
