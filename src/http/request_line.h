#pragma once

#include <string_view>

namespace zorya::http {

/// Whether a request of HTTP/1.0 or 1.1 may begin like `bytes`, of which more may come: method,
/// space, target, space, version, CRLF; what stands behind the line is not looked at. So that
/// garbage is refused when it comes, and not when a header that never ends runs out of time.
bool may_begin_request(std::string_view bytes);

}  // namespace zorya::http
