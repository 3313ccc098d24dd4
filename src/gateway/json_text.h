#pragma once

#include <string>
#include <string_view>

namespace zorya::gateway {

/// Appends `text` as a JSON string with its quotes. What is no UTF-8 becomes U+FFFD, as the service
/// hands it to a function. One pass, no copy of what needs no escape.
void append_json_string(std::string& out, std::string_view text);

/// As above, or `null` for a view without data.
void append_json_string_or_null(std::string& out, std::string_view text);

}  // namespace zorya::gateway
