#include "function_kit/http_connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace function_kit {
namespace {

constexpr std::size_t kHeadSizeBytesMax = 1u << 20;
constexpr std::size_t kBodySizeBytesMax = 64u << 20;

Error http_error(std::string what) { return {"Runtime.HttpError", std::move(what)}; }

Error system_error(const std::string& what) {
  return {"Runtime.HttpError", what + ": " + std::strerror(errno), {}, true};
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

Expected<std::size_t> parse_size(std::string_view text, int base) {
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size, base);
  if (error != std::errc{} || end != text.data() + text.size() || size > kBodySizeBytesMax) {
    return http_error("a length of " + std::string(text));
  }
  return size;
}

Expected<HttpReply> parse_head(std::string_view head) {
  HttpReply reply;
  const std::size_t line_end = std::min(head.find("\r\n"), head.size());
  const std::string_view first = head.substr(0, line_end);
  if (!first.starts_with("HTTP/1.") || first.size() < 12) return http_error("no HTTP/1 reply");
  const auto [end, error] = std::from_chars(first.data() + 9, first.data() + 12, reply.status);
  if (error != std::errc{} || end != first.data() + 12) return http_error("no HTTP status");
  head.remove_prefix(std::min(head.size(), line_end + 2));
  while (!head.empty()) {
    const std::size_t stop = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, stop);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return http_error("a header line without a colon");
    reply.headers[lower(trim(line.substr(0, colon)))] = trim(line.substr(colon + 1));
    head.remove_prefix(std::min(head.size(), stop + 2));
  }
  return reply;
}

std::string to_message(const HttpConnection::Request& request, const std::string& address) {
  std::string message = request.method + " " + request.target + " HTTP/1.1\r\nHost: " + address;
  for (const auto& [name, value] : request.headers) {
    message.append("\r\n").append(name).append(": ").append(value);
  }
  if (request.method != "GET") {
    message += "\r\nContent-Length: " + std::to_string(request.body.size());
  }
  return message + "\r\n\r\n" + request.body;
}

void set_timeout(int fd, std::chrono::milliseconds timeout) {
  if (timeout.count() == 0) return;
  timeval value{};
  value.tv_sec = static_cast<time_t>(timeout.count() / 1000);
  value.tv_usec = static_cast<suseconds_t>(timeout.count() % 1000 * 1000);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
}

}  // namespace

void HttpConnection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  buffer_.clear();
}

Expected<bool> HttpConnection::connect() {
  if (fd_ >= 0) return true;
  const std::size_t colon = address_.rfind(':');
  if (colon == std::string::npos) return http_error("address " + address_ + " has no port");
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(address_.substr(0, colon).c_str(),
                                   address_.substr(colon + 1).c_str(), &hints, &found);
  if (failed != 0) return http_error("resolve " + address_ + ": " + ::gai_strerror(failed));
  for (const addrinfo* each = found; each != nullptr && fd_ < 0; each = each->ai_next) {
    fd_ = ::socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd_ < 0) continue;
    set_timeout(fd_, timeout_);
    if (::connect(fd_, each->ai_addr, each->ai_addrlen) != 0) {
      ::close(fd_);
      fd_ = -1;
    }
  }
  ::freeaddrinfo(found);
  if (fd_ < 0) return system_error("connect to " + address_);
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return true;
}

Expected<bool> HttpConnection::send(std::string_view data) {
  while (!data.empty()) {
    const ssize_t sent = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return system_error("send to " + address_);
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

Expected<bool> HttpConnection::receive() {
  char block[65536];
  for (;;) {
    const ssize_t got = ::recv(fd_, block, sizeof block, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("receive from " + address_);
    if (got == 0) {
      return Error{"Runtime.HttpError", address_ + " closed the connection", {}, true};
    }
    buffer_.append(block, static_cast<std::size_t>(got));
    return true;
  }
}

Expected<std::string> HttpConnection::read_until(std::string_view mark) {
  std::size_t at = 0;
  while ((at = buffer_.find(mark)) == std::string::npos) {
    if (buffer_.size() > kHeadSizeBytesMax) return http_error("a header that is too large");
    if (auto got = receive(); !got) return got.error();
  }
  std::string found = buffer_.substr(0, at);
  buffer_.erase(0, at + mark.size());
  return found;
}

Expected<std::string> HttpConnection::read_exactly(std::size_t size_bytes) {
  while (buffer_.size() < size_bytes) {
    if (auto got = receive(); !got) return got.error();
  }
  std::string found = buffer_.substr(0, size_bytes);
  buffer_.erase(0, size_bytes);
  return found;
}

Expected<std::string> HttpConnection::read_chunks() {
  std::string body;
  for (;;) {
    auto line = read_until("\r\n");
    if (!line) return line.error();
    auto size = parse_size(trim(std::string_view(*line).substr(0, line->find(';'))), 16);
    if (!size) return size.error();
    if (*size == 0) break;
    auto chunk = read_exactly(*size + 2);
    if (!chunk) return chunk.error();
    body.append(*chunk, 0, *size);
    if (body.size() > kBodySizeBytesMax) return http_error("a body that is too large");
  }
  for (;;) {  // trailers
    auto line = read_until("\r\n");
    if (!line) return line.error();
    if (line->empty()) return body;
  }
}

Expected<HttpReply> HttpConnection::read_reply() {
  auto head = read_until("\r\n\r\n");
  if (!head) return head.error();
  auto reply = parse_head(*head);
  if (!reply) return reply;
  Expected<std::string> body = std::string();
  if (const auto coding = reply->headers.find("transfer-encoding");
      coding != reply->headers.end() && lower(coding->second) == "chunked") {
    body = read_chunks();
  } else if (const auto length = reply->headers.find("content-length");
             length != reply->headers.end()) {
    auto size = parse_size(length->second, 10);
    if (!size) return size.error();
    body = read_exactly(*size);
  }
  if (!body) return body.error();
  reply->body = *std::move(body);
  if (lower(reply->headers["connection"]) == "close") close();
  return reply;
}

Expected<HttpReply> HttpConnection::exchange_once(const std::string& message) {
  if (auto connected = connect(); !connected) return connected.error();
  if (auto sent = send(message); !sent) return sent.error();
  return read_reply();
}

Expected<HttpReply> HttpConnection::exchange(const Request& request) {
  const std::string message = to_message(request, address_);
  const bool was_open = fd_ >= 0;
  auto reply = exchange_once(message);
  if (!reply) close();
  // A server may close an idle connection at any time, and only the next use shows it.
  if (!reply && reply.error().connection_lost && was_open && request.repeatable) {
    reply = exchange_once(message);
    if (!reply) close();
  }
  return reply;
}

}  // namespace function_kit
