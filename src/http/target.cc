#include "http/target.h"

namespace zorya::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

base::Error refuse(std::string_view why) {
  return base::Error{base::Code::kInvalidArgument, "parse request target: " + std::string(why), {}};
}

bool begins_with_scheme(std::string_view text, std::string_view scheme) {
  if (text.size() < scheme.size()) return false;
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] | 0x20) : text[i];
    if (c != scheme[i]) return false;
  }
  return true;
}

}  // namespace

base::Result<Target> parse_target(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte == 0x7f) return refuse("a space or control character");
    if (c == '#') return refuse("a fragment");
  }
  Target target;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!begins_with_scheme(text, scheme)) continue;
    text.remove_prefix(scheme.size());
    target.authority = text.substr(0, text.find_first_of("/?"));
    if (target.authority.empty()) return refuse("no host in the absolute form");
    text.remove_prefix(target.authority.size());
    if (text.empty() || text[0] == '?') {
      target.path = "/";
      target.query = text.substr(text.empty() ? 0 : 1);
      return target;
    }
    break;
  }
  if (text.empty() || text[0] != '/') return refuse("neither a path nor an absolute URL");
  const std::size_t mark = text.find('?');
  target.path = text.substr(0, mark);
  if (mark != std::string_view::npos) target.query = text.substr(mark + 1);
  return target;
}

std::string percent_decode(std::string_view text, Plus plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        decoded += static_cast<char>(high << 4 | low);
        i += 2;
        continue;
      }
    }
    decoded += text[i] == '+' && plus == Plus::kSpace ? ' ' : text[i];
  }
  return decoded;
}

std::vector<QueryParameter> parse_query(std::string_view query) {
  std::vector<QueryParameter> pairs;
  while (!query.empty()) {
    const std::size_t end = query.find_first_of("&;");
    const std::string_view piece = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (piece.empty()) continue;
    const std::size_t equals = piece.find('=');
    const std::string_view name = piece.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view{} : piece.substr(equals + 1);
    pairs.push_back({percent_decode(name, Plus::kSpace), percent_decode(value, Plus::kSpace)});
  }
  return pairs;
}

}  // namespace zorya::http
