#pragma once

#include "iam/key_store.h"

#include <chrono>
#include <string>
#include <string_view>

namespace zorya::iam {

inline constexpr std::string_view kDbConnect = "DbConnect";
inline constexpr std::string_view kDbConnectAdmin = "DbConnectAdmin";
/// The role that needs DbConnectAdmin; every other needs DbConnect.
inline constexpr std::string_view kAdminRole = "admin";
inline constexpr std::chrono::seconds kTokenLifetimeMax{604'800};
inline constexpr std::chrono::seconds kTokenLifetimeDefault{900};
/// A token's date may lie so far in the future: clocks differ. Its expiry has no such grace.
inline constexpr std::chrono::minutes kClockSkewMax{5};

struct TokenRequest {
  std::string host;  // the cluster's endpoint, "<id>.dsql.<region>.on.aws", without a port
  std::string region;
  std::string role = std::string(kAdminRole);
  std::chrono::system_clock::time_point now;
  std::chrono::seconds lifetime = kTokenLifetimeDefault;
};

/// What the SDKs' generate_db_connect[_admin]_auth_token makes: a SigV4 presigned GET without its
/// scheme, used as the password. kInvalidArgument for a lifetime outside 1 to kTokenLifetimeMax.
base::Result<std::string> make_dsql_token(const AccessKey& key, const TokenRequest& request);

enum class TokenOutcome {
  kAccepted,
  kMalformed,
  kWrongScope,        // service, region, date or terminator of the credential
  kExpired,           // the token
  kNotYetCurrent,     // dated more than kClockSkewMax ahead
  kUnknownKey,        // or a session token that is not the key's
  kExpiredKey,        // a session key whose time is over
  kSignatureDiffers,  // tampered, signed with another secret, or for another host
  kWrongAction,       // DbConnect for admin, or DbConnectAdmin for another role
  kDenied,            // by the identity's policy
};

struct TokenVerdict {
  TokenOutcome outcome = TokenOutcome::kMalformed;
  std::string hint;          // the service's words, for the client; no signature or secret in it
  std::string reason;        // what the service would not say, for the log; may be empty
  std::string identity_arn;  // when the key is known
};

/// What a connection asks for.
struct ConnectRequest {
  std::string host;  // the endpoint of the cluster that was found
  std::string region;
  std::string role;
  std::string cluster_arn;
  std::chrono::system_clock::time_point now;
};

/// Judges the password of a connection. The signature is compared in constant time. Any thread.
/// The order of checks is that of the services: scope, clock, key, session token, signature,
/// action, policy. Texts: as recorded from DSQL, else those of the IAM User Guide ("Troubleshoot
/// SigV4").
TokenVerdict verify_dsql_token(std::string_view token, const ConnectRequest& request,
                               const KeyStore& keys);

}  // namespace zorya::iam
