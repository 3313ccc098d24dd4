#include "function_host/name_server.h"

#include <cstddef>
#include <cstdint>

namespace zorya::function_host {
namespace {

constexpr std::size_t kHeaderBytes = 12;

unsigned read_u16(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned>(static_cast<unsigned char>(bytes[at])) << 8 |
         static_cast<unsigned char>(bytes[at + 1]);
}

/// The first question's name; `at` is moved behind it. False: malformed (compression has no place
/// in a question).
bool read_name(std::string_view query, std::size_t& at, std::string& name) {
  for (;;) {
    if (at >= query.size()) return false;
    const auto length = static_cast<unsigned char>(query[at++]);
    if (length == 0) return true;
    if (length > 63 || at + length > query.size() || name.size() + length > 254) return false;
    if (!name.empty()) name.push_back('.');
    for (std::size_t i = 0; i < length; ++i) {
      const char c = query[at + i];
      name.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
    }
    at += length;
  }
}

bool is_known(std::string_view name, std::string_view region) {
  std::string suffix = ".dsql.";
  suffix.append(region).append(".on.aws");
  return name == "localhost" || (name.size() > suffix.size() && name.ends_with(suffix));
}

}  // namespace

NameAnswer answer_name_query(std::string_view query, std::string_view region) {
  NameAnswer answer;
  if (query.size() < kHeaderBytes || (query[2] & 0x80) != 0 || read_u16(query, 4) != 1) return {};
  std::size_t at = kHeaderBytes;
  if (!read_name(query, at, answer.name) || at + 4 > query.size()) return {};
  const unsigned type = read_u16(query, at);
  at += 4;
  answer.known = is_known(answer.name, region);
  const bool has_address = answer.known && type == 1;
  std::string& out = answer.datagram;
  out.assign(query.substr(0, 2));
  out.push_back(static_cast<char>(0x84 | (query[2] & 0x01)));  // response, authoritative
  out.push_back(static_cast<char>(answer.known ? 0x80 : 0x83));
  out.append(std::string("\0\1\0", 3));
  out.push_back(has_address ? '\1' : '\0');
  out.append(4, '\0');
  out.append(query.substr(kHeaderBytes, at - kHeaderBytes));
  if (has_address) {  // the name by reference, A, IN, 60 s, 4 bytes
    out.append(std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1", 16));
  }
  return answer;
}

}  // namespace zorya::function_host
