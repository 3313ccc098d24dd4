#pragma once

#include "base/result.h"

#include <boost/json/value.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zorya::gateway {

/// What a function answered, as the client gets it.
class ProxyResponse {
 public:
  int status = 200;
  /// In order of writing, already remapped and dropped as the service does; no Content-Length.
  std::vector<std::pair<std::string, std::string>> headers;

  /// Valid as long as this object stays where it is.
  [[nodiscard]] std::string_view body() const;

 private:
  friend base::Result<ProxyResponse> read_proxy_response(std::string_view payload,
                                                         std::span<const std::string> binary_types,
                                                         std::string_view accept);
  boost::json::value document_;         // holds the body, so that it need not be copied
  std::optional<std::string> decoded_;  // the body, if it was base64 to be decoded
};

/// Reads a function's answer by the rules of the Lambda proxy integration (fact sheet 2.2, 3). The
/// error's message says what is malformed: kInvalidArgument is the service's 502, kInternal (base64
/// that is none) its 500. `accept` is the request's Accept value; binary bodies are decoded only if
/// its first media type is in `binary_types`.
base::Result<ProxyResponse> read_proxy_response(std::string_view payload,
                                                std::span<const std::string> binary_types,
                                                std::string_view accept);

}  // namespace zorya::gateway
