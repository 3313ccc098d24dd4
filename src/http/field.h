#pragma once

#include <span>
#include <string>
#include <string_view>

namespace zorya::http {

/// One header field as it stood in the message. Views: valid as long as the message.
struct FieldView {
  std::string_view name;
  std::string_view value;
};

/// Equal but for the case of ASCII letters.
bool equals_ignoring_case(std::string_view left, std::string_view right);

/// The value of the last field of that name, or nullptr data and size 0 if there is none: ask
/// `.data()` to tell an empty value from none.
std::string_view find_last(std::span<const FieldView> fields, std::string_view name);

/// A token of RFC 9110, 5.6.2: what a field name may be.
bool is_token(std::string_view text);

/// May stand in a message as a field's value: no control characters but tab.
bool is_field_value(std::string_view text);

/// The type and subtype of the first media type in a Content-Type or Accept value, without
/// parameters and white space: " text/html;q=1, */*" gives "text/html".
std::string_view first_media_type(std::string_view value);

/// Whether `type` falls under `pattern`: "image/png", "image/*" or "*/*".
bool media_type_matches(std::string_view pattern, std::string_view type);

}  // namespace zorya::http
