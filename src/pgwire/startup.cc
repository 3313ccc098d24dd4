#include "pgwire/startup.h"

#include "pgwire/frame.h"

#include <algorithm>

namespace zorya::pgwire {
namespace {

constexpr std::uint32_t kSslRequestCode = (1234u << 16) | 5679;
constexpr std::uint32_t kGssRequestCode = (1234u << 16) | 5680;
constexpr std::uint32_t kCancelRequestCode = (1234u << 16) | 5678;

base::Error invalid(std::string message) {
  return base::Error{base::Code::kInvalidArgument, std::move(message), {}};
}

std::string be32(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
  return out;
}

std::string with_length(const std::string& body) {
  return be32(static_cast<std::uint32_t>(body.size() + 4)) + body;
}

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> out;
  bool in_word = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_space(text[i])) {
      in_word = false;
      continue;
    }
    if (!in_word) out.emplace_back();
    in_word = true;
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out.back() += text[i];
  }
  return out;
}

base::Result<StartupPacket> parse_parameters(std::string_view rest, StartupPacket out) {
  while (true) {
    const auto name = take_string(rest);
    if (!name) return invalid("invalid startup packet layout: expected terminator as last byte");
    if (name->empty()) break;
    const auto value = take_string(rest);
    if (!value) return invalid("invalid startup packet layout: expected terminator as last byte");
    out.parameters.emplace_back(*name, *value);
  }
  if (!rest.empty()) return invalid("invalid startup packet layout: bytes after the terminator");
  return out;
}

}  // namespace

std::string_view StartupPacket::parameter(std::string_view name) const {
  const auto found = std::find_if(parameters.rbegin(), parameters.rend(),
                                  [name](const auto& pair) { return pair.first == name; });
  return found == parameters.rend() ? std::string_view{} : std::string_view{found->second};
}

base::Result<StartupPacket> parse_startup(std::string_view body) {
  if (body.size() < 4) return invalid("invalid length of startup packet");
  const std::uint32_t code = read_u32(body);
  body.remove_prefix(4);
  StartupPacket out;
  if (code == kSslRequestCode || code == kGssRequestCode) {
    if (!body.empty()) return invalid("invalid length of startup packet");
    out.kind =
        code == kSslRequestCode ? StartupKind::kSslRequest : StartupKind::kGssEncryptionRequest;
    return out;
  }
  if (code == kCancelRequestCode) {
    const auto key = parse_backend_key_data(body);
    if (!key) return invalid("invalid length of cancel request");
    out.kind = StartupKind::kCancelRequest;
    out.cancel_key = *key;
    return out;
  }
  if (code >> 16 != 3) {
    return base::Error{base::Code::kUnimplemented,
                       "unsupported frontend protocol " + std::to_string(code >> 16) + "." +
                           std::to_string(code & 0xffff) + ": server supports 3.0 to 3.0",
                       {}};
  }
  out.minor_version = code & 0xffff;
  return parse_parameters(body, std::move(out));
}

std::string print_startup(const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string body = be32(3u << 16);
  for (const auto& [name, value] : parameters) {
    body.append(name).append(1, '\0').append(value).append(1, '\0');
  }
  body += '\0';
  return with_length(body);
}

std::string print_cancel_request(BackendKey key) {
  return with_length(be32(kCancelRequestCode) + be32(key.process_id) + be32(key.secret));
}

base::Result<std::vector<std::pair<std::string, std::string>>> parse_options(
    std::string_view options) {
  std::vector<std::pair<std::string, std::string>> out;
  const std::vector<std::string> words = split_words(options);
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string setting;
    if (words[i] == "-c" && i + 1 < words.size()) {
      setting = words[++i];
    } else if (words[i].size() > 2 && (words[i].starts_with("-c") || words[i].starts_with("--"))) {
      setting = words[i].substr(2);
    } else {
      return base::Error{base::Code::kUnimplemented,
                         "invalid command-line argument for server process: " + words[i],
                         {}};
    }
    const std::size_t equal = setting.find('=');
    if (equal == std::string::npos || equal == 0) {
      return invalid("-c " + setting + " requires a value");
    }
    std::string name = setting.substr(0, equal);
    std::replace(name.begin(), name.end(), '-', '_');
    out.emplace_back(std::move(name), setting.substr(equal + 1));
  }
  return out;
}

}  // namespace zorya::pgwire
