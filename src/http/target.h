#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace zorya::http {

/// A request target cut into its parts, all still percent-encoded. Views into the text parsed.
struct Target {
  std::string_view authority;  // of the absolute form only
  std::string_view path;       // begins with "/"
  std::string_view query;      // without the "?"
};

/// Reads the origin form ("/a?b") and the absolute form ("http://host/a?b"); RFC 9112, 3.2.
/// kInvalidArgument for any other, for a fragment and for bytes that are no visible ASCII (bytes
/// from 0x80 on pass: clients send UTF-8 unencoded).
base::Result<Target> parse_target(std::string_view text);

enum class Plus { kLiteral, kSpace };

/// Decodes %XX; what is no valid escape stays as it is. The result may hold any bytes.
std::string percent_decode(std::string_view text, Plus plus);

/// One pair of a query string, decoded.
struct QueryParameter {
  std::string name;
  std::string value;
};

/// The pairs in order. "&" and ";" separate, "+" is a space, a name without "=" has an empty value,
/// empty pieces are no pairs.
std::vector<QueryParameter> parse_query(std::string_view query);

}  // namespace zorya::http
