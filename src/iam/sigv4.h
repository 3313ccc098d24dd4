#pragma once

#include "base/result.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zorya::iam {

using NameValues = std::vector<std::pair<std::string, std::string>>;

/// What a signature is good for: "<date>/<region>/<service>/aws4_request".
struct CredentialScope {
  std::string date;  // YYYYMMDD
  std::string region;
  std::string service;
};

std::string to_string(const CredentialScope& scope);

/// How a path on the wire becomes the canonical one. S3 takes it as it is; all other services
/// normalise it and encode it a second time.
enum class PathRule { kAsSent, kNormaliseAndEncode };

/// The parts of a request that a signature covers. Query names and values are decoded; header names
/// may have any case.
struct SignedRequest {
  std::string method = "GET";
  std::string path = "/";
  PathRule path_rule = PathRule::kNormaliseAndEncode;
  NameValues query;
  NameValues headers;  // the signed ones only
  std::string payload_hash;
};

/// Percent-encodes all but A-Z a-z 0-9 - . _ ~; '/' stays if `keep_slash`.
std::string uri_encode(std::string_view text, bool keep_slash = false);

/// Undoes percent-encoding; '+' is itself. Nothing if a '%' is not followed by two hex digits.
std::optional<std::string> uri_decode(std::string_view text);

/// Splits a raw query string at '&' and the first '=', and decodes. kInvalidArgument for a bad
/// escape, or more than `count_max` parameters.
base::Result<NameValues> parse_query(std::string_view raw, std::size_t count_max);

/// Source: IAM User Guide, "Create a signed AWS API request".
std::string canonical_request(const SignedRequest& request);
std::string string_to_sign(std::string_view date_time, const CredentialScope& scope,
                           std::string_view canonical);
/// 64 lower-case hex digits.
std::string signature(std::string_view secret_access_key, const CredentialScope& scope,
                      std::string_view to_sign);

/// "YYYYMMDDTHHMMSSZ", and back; strict: nothing for any other form or an impossible date.
std::string format_date_time(std::chrono::system_clock::time_point time);
std::optional<std::chrono::system_clock::time_point> parse_date_time(std::string_view text);

}  // namespace zorya::iam
