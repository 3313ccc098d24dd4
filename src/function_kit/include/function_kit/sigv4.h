#pragma once

#include "function_kit/credentials.h"

#include <chrono>
#include <map>
#include <string>

namespace function_kit {

/// A GET to be presigned (Signature Version 4, query string form; only `host` is signed).
struct PresignRequest {
  std::string host;
  std::string path = "/";
  std::map<std::string, std::string> query;  // not yet encoded
  std::string service;
  std::string region;
  std::string payload_hash;  // hex, or "UNSIGNED-PAYLOAD"; empty: that of an empty body
  std::chrono::seconds expires{900};
  std::chrono::system_clock::time_point time;
};

/// host + path + ? + signed query, without a scheme.
/// Source: AWS General Reference, "Create a signed AWS API request", query parameters.
std::string presign(const PresignRequest& request, const Credentials& credentials);

/// The password for a DSQL cluster: for user "admin" the action is DbConnectAdmin, else DbConnect.
std::string dsql_token(const std::string& endpoint, const std::string& region,
                       const std::string& user, const Credentials& credentials,
                       std::chrono::system_clock::time_point time);

}  // namespace function_kit
