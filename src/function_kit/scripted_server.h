#pragma once

// For tests only: a server on loopback that gives canned replies in order and keeps the requests.

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace function_kit {

class ScriptedServer {
 public:
  /// Each reply is the raw bytes; "" closes the connection instead, before or after which the
  /// server accepts the next one. When the script is over, connections are closed.
  explicit ScriptedServer(std::vector<std::string> replies) : replies_(std::move(replies)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      std::abort();
    }
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  static std::string reply(int status, const std::string& body, const std::string& headers = "") {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

 private:
  void serve() {
    std::size_t index = 0;
    while (index < replies_.size()) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      std::string request;
      while (index < replies_.size() && read_request(connection, request)) {
        {
          const std::lock_guard lock(mutex_);
          requests_.push_back(request);
        }
        const std::string& bytes = replies_[index++];
        if (bytes.empty() || ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0)
          break;
      }
      ::close(connection);
    }
    ::shutdown(listener_, SHUT_RDWR);
  }

  static bool read_request(int connection, std::string& request) {
    request.clear();
    std::size_t wanted = 0;
    char block[65536];
    while (wanted == 0 || request.size() < wanted) {
      const ssize_t got = ::recv(connection, block, sizeof block, 0);
      if (got <= 0) return false;
      request.append(block, static_cast<std::size_t>(got));
      const std::size_t head = request.find("\r\n\r\n");
      if (head == std::string::npos) continue;
      const std::size_t length = request.find("Content-Length: ");
      wanted = head + 4;
      if (length < head) wanted += std::strtoul(request.c_str() + length + 16, nullptr, 10);
    }
    return true;
  }

  std::vector<std::string> replies_;
  std::vector<std::string> requests_;
  mutable std::mutex mutex_;
  int listener_ = -1;
  std::string address_;
  std::thread thread_;
};

}  // namespace function_kit
