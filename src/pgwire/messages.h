#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Each append_ function adds one whole message to `out`. Source of all formats: PostgreSQL manual,
// "Frontend/Backend Protocol", Message Formats.
namespace zorya::pgwire {

/// What ErrorResponse and NoticeResponse tell. Empty parts are left out.
struct ErrorReport {
  std::string severity = "ERROR";
  std::string sqlstate = {};
  std::string message = {};
  std::string detail = {};
  std::string hint = {};
};

/// The fields of an ErrorResponse or NoticeResponse body by their letters, borrowed from it.
class ErrorFields {
 public:
  /// Nothing if the body is malformed.
  static std::optional<ErrorFields> parse(std::string_view body);
  /// Empty if there is no such field.
  [[nodiscard]] std::string_view operator[](char field) const;

 private:
  std::vector<std::pair<char, std::string_view>> fields_;
};

enum class TransactionStatus : char { kIdle = 'I', kInBlock = 'T', kFailed = 'E' };

void append_message(std::string& out, char type, std::string_view body);
void append_error(std::string& out, const ErrorReport& error);
void append_notice(std::string& out, const ErrorReport& notice);
void append_authentication_cleartext(std::string& out);
void append_authentication_ok(std::string& out);
void append_parameter_status(std::string& out, std::string_view name, std::string_view value);
void append_backend_key_data(std::string& out, std::uint32_t process_id, std::uint32_t secret);
/// "Only 3.0, and none of these options."
void append_negotiate_version(std::string& out, const std::vector<std::string>& options_refused);
/// One column of type text in text format.
void append_row_description(std::string& out, std::string_view column);
void append_data_row(std::string& out, std::string_view value);
void append_ready_for_query(std::string& out, TransactionStatus status);
void append_query(std::string& out, std::string_view sql);
void append_password(std::string& out, std::string_view password);

/// ParameterStatus: name and value.
std::optional<std::pair<std::string_view, std::string_view>> parse_parameter_status(
    std::string_view body);

/// DataRow: the values in text format, NULL as an empty one, borrowed from `body`. Nothing if it is
/// malformed.
std::optional<std::vector<std::string_view>> parse_data_row(std::string_view body);

struct BackendKey {
  std::uint32_t process_id = 0;
  std::uint32_t secret = 0;
};
std::optional<BackendKey> parse_backend_key_data(std::string_view body);

std::optional<TransactionStatus> parse_ready_for_query(std::string_view body);

/// The string at the start of `bytes` up to its zero byte, which is taken from `bytes` too.
std::optional<std::string_view> take_string(std::string_view& bytes);

}  // namespace zorya::pgwire
