#include "http/request_line.h"

#include <gtest/gtest.h>

#include <string>

namespace zorya::http {
namespace {

TEST(RequestLine, EveryBeginningOfARequestMayBeOne) {
  for (const std::string line :
       {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * HTTP/1.0\r\nanything \x01",
        "POST http://h/x?y HTTP/1.1\r\n"}) {
    for (std::size_t size = 0; size <= line.size(); ++size) {
      EXPECT_TRUE(may_begin_request(std::string_view(line).substr(0, size))) << size;
    }
  }
}

TEST(RequestLine, GarbageIsSeenAtOnce) {
  for (const std::string_view bytes :
       {std::string_view("\x16\x03\x01\x02", 4), std::string_view("\0\0\0\x08\x04\xd2\x16\x2f", 8),
        std::string_view("\r\nGET"), std::string_view(" GET /"), std::string_view("GET  /"),
        std::string_view("GET / FTP"), std::string_view("GET / HTTP/2.0\r\n"),
        std::string_view("PRI * HTTP/2.0"), std::string_view("GET /\n"),
        std::string_view("GET / HTTP/1.1\n"), std::string_view("hello\n"),
        std::string_view("GET / HTTP/1.1 \r\n")}) {
    EXPECT_FALSE(may_begin_request(bytes)) << bytes;
  }
  EXPECT_FALSE(may_begin_request(std::string(33, 'A')));
}

}  // namespace
}  // namespace zorya::http
