#pragma once

#include <string>
#include <string_view>

namespace zorya::function_host {

/// What to send back for one DNS query, and what was asked.
struct NameAnswer {
  std::string datagram;  // empty: not a query, say nothing
  std::string name;      // lower case, without the last dot
  bool known = false;    // false: answered NXDOMAIN
};

/// Answers one DNS query of an environment: `<anything>.dsql.<region>.on.aws` and "localhost" are
/// 127.0.0.1; every other name does not exist. RFC 1035 4.1; `query` may be any bytes.
NameAnswer answer_name_query(std::string_view query, std::string_view region);

}  // namespace zorya::function_host
