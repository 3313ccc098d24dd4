#pragma once

#include "base/unique_fd.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace zorya::gateway {

/// A client for tests that sends exactly the bytes it is told to. Every wait ends after ten
/// seconds.
class TestClient {
 public:
  explicit TestClient(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }

  /// False when the peer does not take it any more.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  struct Message {
    int status = 0;
    std::string head;
    std::string body;
    [[nodiscard]] bool has(std::string_view line) const {
      return head.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
    }
    [[nodiscard]] std::string field(const std::string& name) const {
      const std::size_t at = head.find("\r\n" + name + ": ");
      if (at == std::string::npos) return "absent";
      const std::size_t begin = at + name.size() + 4;
      return head.substr(begin, head.find("\r\n", begin) - begin);
    }
  };

  enum class Body { kByLength, kNone };

  /// The next response; status 0 if none came.
  Message read(Body kind = Body::kByLength) {
    Message message;
    std::size_t end = std::string::npos;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!receive()) return message;
    }
    message.head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    message.status = std::atoi(message.head.substr(9, 3).c_str());
    if (kind == Body::kNone) return message;
    const std::size_t size = std::strtoul(message.field("Content-Length").c_str(), nullptr, 10);
    while (buffer_.size() < size) {
      if (!receive()) return {};
    }
    message.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return message;
  }

  Message ask(std::string_view bytes) {
    EXPECT_TRUE(send(bytes));
    return read();
  }

  /// True if the peer ended the connection and sent nothing more.
  bool is_at_end() { return buffer_.empty() && !receive() && at_end_; }

  /// True if bytes have come (within `timeout_ms`) that no read() took.
  bool has_bytes(int timeout_ms) {
    pollfd waiting{fd_.get(), POLLIN, 0};
    return !buffer_.empty() || ::poll(&waiting, 1, timeout_ms) > 0;
  }

  void shut() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }

 private:
  bool receive() {
    pollfd waiting{fd_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, 10'000) <= 0) return false;
    char bytes[65536];
    const ssize_t got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (got <= 0) {
      at_end_ = true;
      return false;
    }
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }

  base::UniqueFd fd_;
  std::string buffer_;
  bool at_end_ = false;
};

}  // namespace zorya::gateway
