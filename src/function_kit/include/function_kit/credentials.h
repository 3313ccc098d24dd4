#pragma once

#include "function_kit/expected.h"

#include <chrono>
#include <optional>
#include <string>

namespace function_kit {

struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;                                          // may be empty
  std::optional<std::chrono::system_clock::time_point> expires = {};  // none: they do not
};

/// Where a function's credentials come from: the environment, or the container endpoint that
/// AWS_CONTAINER_CREDENTIALS_FULL_URI names (plain http on loopback only, as the SDKs allow it).
/// Keeps what the endpoint gave until 5 minutes before it expires. One thread.
class CredentialsProvider {
 public:
  Expected<Credentials> get();

 private:
  std::optional<Credentials> kept_;
};

}  // namespace function_kit
