#include "pgwire/messages.h"

#include "pgwire/frame.h"

namespace zorya::pgwire {
namespace {

constexpr std::int32_t kTextOid = 25;

void append_u16(std::string& out, std::uint16_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value);
}

void append_u32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

void append_string(std::string& out, std::string_view text) {
  out.append(text.substr(0, text.find('\0')));
  out += '\0';
}

/// Writes the header with a length to come; the destructor writes the length.
class Message {
 public:
  Message(std::string& out, char type) : out_(out), start_(out.size() + 1) {
    out_ += type;
    append_u32(out_, 0);
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  ~Message() {
    const auto length = static_cast<std::uint32_t>(out_.size() - start_);
    for (std::size_t i = 0; i < 4; ++i) {
      out_[start_ + i] = static_cast<char>(length >> (24 - 8 * i));
    }
  }

 private:
  std::string& out_;
  std::size_t start_;
};

void append_report(std::string& out, char type, const ErrorReport& report) {
  const Message message(out, type);
  const auto field = [&out](char letter, std::string_view value) {
    if (value.empty()) return;
    out += letter;
    append_string(out, value);
  };
  field('S', report.severity);
  field('V', report.severity);
  field('C', report.sqlstate);
  field('M', report.message);
  field('D', report.detail);
  field('H', report.hint);
  out += '\0';
}

}  // namespace

std::optional<ErrorFields> ErrorFields::parse(std::string_view body) {
  ErrorFields out;
  while (true) {
    if (body.empty()) return std::nullopt;
    const char letter = body.front();
    body.remove_prefix(1);
    if (letter == '\0') return out;
    const auto value = take_string(body);
    if (!value) return std::nullopt;
    out.fields_.emplace_back(letter, *value);
  }
}

std::string_view ErrorFields::operator[](char field) const {
  for (const auto& [letter, value] : fields_) {
    if (letter == field) return value;
  }
  return {};
}

void append_message(std::string& out, char type, std::string_view body) {
  const Message message(out, type);
  out.append(body);
}

void append_error(std::string& out, const ErrorReport& error) { append_report(out, 'E', error); }
void append_notice(std::string& out, const ErrorReport& notice) { append_report(out, 'N', notice); }

void append_authentication_cleartext(std::string& out) {
  const Message message(out, 'R');
  append_u32(out, 3);
}

void append_authentication_ok(std::string& out) {
  const Message message(out, 'R');
  append_u32(out, 0);
}

void append_parameter_status(std::string& out, std::string_view name, std::string_view value) {
  const Message message(out, 'S');
  append_string(out, name);
  append_string(out, value);
}

void append_backend_key_data(std::string& out, std::uint32_t process_id, std::uint32_t secret) {
  const Message message(out, 'K');
  append_u32(out, process_id);
  append_u32(out, secret);
}

void append_ready_for_query(std::string& out, TransactionStatus status) {
  const char letter = static_cast<char>(status);
  append_message(out, 'Z', {&letter, 1});
}

void append_negotiate_version(std::string& out, const std::vector<std::string>& options_refused) {
  const Message message(out, 'v');
  append_u32(out, 3u << 16);
  append_u32(out, static_cast<std::uint32_t>(options_refused.size()));
  for (const auto& option : options_refused) append_string(out, option);
}

void append_row_description(std::string& out, std::string_view column) {
  const Message message(out, 'T');
  append_u16(out, 1);
  append_string(out, column);
  append_u32(out, 0);  // of no table
  append_u16(out, 0);
  append_u32(out, kTextOid);
  append_u16(out, 0xffff);  // variable size
  append_u32(out, 0xffffffff);
  append_u16(out, 0);  // text format
}

void append_data_row(std::string& out, std::string_view value) {
  const Message message(out, 'D');
  append_u16(out, 1);
  append_u32(out, static_cast<std::uint32_t>(value.size()));
  out.append(value);
}

void append_query(std::string& out, std::string_view sql) {
  const Message message(out, 'Q');
  append_string(out, sql);
}

void append_password(std::string& out, std::string_view password) {
  const Message message(out, 'p');
  append_string(out, password);
}

std::optional<std::pair<std::string_view, std::string_view>> parse_parameter_status(
    std::string_view body) {
  const auto name = take_string(body);
  if (!name) return std::nullopt;
  const auto value = take_string(body);
  if (!value || !body.empty()) return std::nullopt;
  return std::pair(*name, *value);
}

std::optional<BackendKey> parse_backend_key_data(std::string_view body) {
  if (body.size() != 8) return std::nullopt;
  return BackendKey{.process_id = read_u32(body), .secret = read_u32(body.substr(4))};
}

std::optional<std::vector<std::string_view>> parse_data_row(std::string_view body) {
  constexpr std::uint32_t kNull = 0xffffffff;
  if (body.size() < 2) return std::nullopt;
  const std::size_t count = static_cast<std::size_t>(static_cast<std::uint8_t>(body[0])) << 8 |
                            static_cast<std::uint8_t>(body[1]);
  body.remove_prefix(2);
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < count; ++i) {
    if (body.size() < 4) return std::nullopt;
    const std::uint32_t size = read_u32(body);
    body.remove_prefix(4);
    if (size == kNull) {
      out.emplace_back();
      continue;
    }
    if (size > body.size()) return std::nullopt;
    out.push_back(body.substr(0, size));
    body.remove_prefix(size);
  }
  if (!body.empty()) return std::nullopt;
  return out;
}

std::optional<TransactionStatus> parse_ready_for_query(std::string_view body) {
  if (body.size() != 1) return std::nullopt;
  const char status = body[0];
  if (status != 'I' && status != 'T' && status != 'E') return std::nullopt;
  return static_cast<TransactionStatus>(status);
}

std::optional<std::string_view> take_string(std::string_view& bytes) {
  const std::size_t end = bytes.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view out = bytes.substr(0, end);
  bytes.remove_prefix(end + 1);
  return out;
}

}  // namespace zorya::pgwire
