#pragma once

#include "function_kit/expected.h"

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace function_kit {

struct HttpReply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

/// One persistent HTTP/1.1 connection, blocking: what the Runtime API and the credentials endpoint
/// need. A header over 1 MiB or a body over 64 MiB is refused.
class HttpConnection {
 public:
  /// `address` is host:port. A zero timeout waits for ever, as the Runtime API wants it.
  HttpConnection(std::string address, std::chrono::milliseconds timeout)
      : address_(std::move(address)), timeout_(timeout) {}
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;
  ~HttpConnection() { close(); }

  struct Request {
    std::string method;
    std::string target;
    std::vector<std::pair<std::string, std::string>> headers = {};
    std::string body = {};
    bool repeatable = false;  // may be sent again if an idle connection turns out closed
  };

  /// Connects if need be, sends, and reads the reply.
  Expected<HttpReply> exchange(const Request& request);

 private:
  Expected<bool> connect();
  Expected<bool> send(std::string_view data);
  Expected<bool> receive();
  Expected<std::string> read_until(std::string_view mark);
  Expected<std::string> read_exactly(std::size_t size_bytes);
  Expected<std::string> read_chunks();
  Expected<HttpReply> read_reply();
  Expected<HttpReply> exchange_once(const std::string& message);
  void close();

  std::string address_;
  std::chrono::milliseconds timeout_;
  int fd_ = -1;
  std::string buffer_;
};

}  // namespace function_kit
