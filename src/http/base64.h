#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace zorya::http {

/// RFC 4648, 4: standard alphabet, padded.
std::string base64_encode(std::string_view bytes);

/// Nothing if the text is not base64: alphabet, padding and length are checked, white space is not
/// allowed; a text without its padding passes, as decoders of AWS take it.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace zorya::http
