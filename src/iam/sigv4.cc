#include "iam/sigv4.h"

#include "iam/digest.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace zorya::iam {
namespace {

bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Removes "." and "..", and runs of '/'; a trailing '/' stays.
std::string normalise_path(std::string_view path) {
  std::vector<std::string_view> parts;
  bool folder = true;
  for (std::size_t start = 0; start <= path.size();) {
    std::size_t end = path.find('/', start);
    if (end == std::string_view::npos) end = path.size();
    const std::string_view part = path.substr(start, end - start);
    folder = part.empty() || part == "." || part == "..";
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!folder) {
      parts.push_back(part);
    }
    start = end + 1;
  }
  std::string out;
  for (const auto part : parts) out.append("/").append(part);
  if (folder) out += '/';
  return out;
}

std::string canonical_query(const NameValues& query) {
  NameValues encoded;
  encoded.reserve(query.size());
  for (const auto& [name, value] : query) encoded.emplace_back(uri_encode(name), uri_encode(value));
  // By name, then by value: sorting the joined strings would put "a-b=" before "a=".
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

/// Trims, and makes each run of white space one space.
std::string collapse(std::string_view value) {
  std::string out;
  bool gap = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      gap = true;
      continue;
    }
    if (gap && !out.empty()) out += ' ';
    gap = false;
    out += c;
  }
  return out;
}

NameValues canonical_headers(const NameValues& headers) {
  NameValues out;
  for (const auto& [name, value] : headers) {
    std::string lower(name.size(), '\0');
    std::transform(name.begin(), name.end(), lower.begin(), to_lower);
    const auto same = std::find_if(out.begin(), out.end(),
                                   [&lower](const auto& header) { return header.first == lower; });
    if (same == out.end()) {
      out.emplace_back(std::move(lower), collapse(value));
    } else {
      same->second.append(",").append(collapse(value));
    }
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return out;
}

}  // namespace

std::string to_string(const CredentialScope& scope) {
  return scope.date + "/" + scope.region + "/" + scope.service + "/aws4_request";
}

std::string uri_encode(std::string_view text, bool keep_slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) {
    if (is_unreserved(c) || (keep_slash && c == '/')) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

std::optional<std::string> uri_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

base::Result<NameValues> parse_query(std::string_view raw, std::size_t count_max) {
  NameValues out;
  while (!raw.empty()) {
    const std::size_t end = std::min(raw.find('&'), raw.size());
    const std::string_view pair = raw.substr(0, end);
    raw.remove_prefix(std::min(end + 1, raw.size()));
    if (pair.empty()) continue;
    if (out.size() == count_max) {
      return base::Error{base::Code::kInvalidArgument, "too many query parameters", {}};
    }
    const std::size_t equal = std::min(pair.find('='), pair.size());
    auto name = uri_decode(pair.substr(0, equal));
    auto value = uri_decode(pair.substr(std::min(equal + 1, pair.size())));
    if (!name || !value) {
      return base::Error{base::Code::kInvalidArgument, "malformed percent-encoding", {}};
    }
    out.emplace_back(std::move(*name), std::move(*value));
  }
  return out;
}

std::string canonical_request(const SignedRequest& request) {
  std::string path = request.path.empty() ? "/" : request.path;
  if (request.path_rule == PathRule::kNormaliseAndEncode) {
    path = uri_encode(normalise_path(path), true);
  }
  std::string out = request.method + "\n" + path + "\n" + canonical_query(request.query) + "\n";
  std::string names;
  for (const auto& [name, value] : canonical_headers(request.headers)) {
    out.append(name).append(":").append(value).append("\n");
    if (!names.empty()) names += ';';
    names += name;
  }
  return out.append("\n").append(names).append("\n").append(request.payload_hash);
}

std::string string_to_sign(std::string_view date_time, const CredentialScope& scope,
                           std::string_view canonical) {
  return "AWS4-HMAC-SHA256\n" + std::string(date_time) + "\n" + to_string(scope) + "\n" +
         to_hex(sha256(canonical));
}

std::string signature(std::string_view secret_access_key, const CredentialScope& scope,
                      std::string_view to_sign) {
  const std::string first = "AWS4" + std::string(secret_access_key);
  Sha256 key =
      hmac_sha256({reinterpret_cast<const std::uint8_t*>(first.data()), first.size()}, scope.date);
  key = hmac_sha256(key, scope.region);
  key = hmac_sha256(key, scope.service);
  key = hmac_sha256(key, "aws4_request");
  return to_hex(hmac_sha256(key, to_sign));
}

std::string format_date_time(std::chrono::system_clock::time_point time) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const int size =
      std::snprintf(text, sizeof text, "%04d%02d%02dT%02d%02d%02dZ", utc.tm_year + 1900,
                    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
  return {text, static_cast<std::size_t>(size)};
}

std::optional<std::chrono::system_clock::time_point> parse_date_time(std::string_view text) {
  constexpr std::string_view kForm = "ddddddddTddddddZ";
  if (text.size() != kForm.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == 'd' ? !digit : text[i] != kForm[i]) return std::nullopt;
  }
  const auto number = [text](std::size_t at, std::size_t count) {
    int value = 0;
    for (std::size_t i = at; i < at + count; ++i) value = value * 10 + (text[i] - '0');
    return value;
  };
  std::tm utc{};
  utc.tm_year = number(0, 4) - 1900;
  utc.tm_mon = number(4, 2) - 1;
  utc.tm_mday = number(6, 2);
  utc.tm_hour = number(9, 2);
  utc.tm_min = number(11, 2);
  utc.tm_sec = number(13, 2);
  const auto time = std::chrono::system_clock::from_time_t(timegm(&utc));
  // timegm takes the 31st of June for the 1st of July; writing it again shows that.
  if (format_date_time(time) != text) return std::nullopt;
  return time;
}

}  // namespace zorya::iam
