#include "iam/dsql_token.h"

#include "iam/digest.h"
#include "iam/policy.h"
#include "iam/sigv4.h"

#include <algorithm>
#include <charconv>

namespace zorya::iam {
namespace {

constexpr std::size_t kTokenBytesMax = 16 << 10;
constexpr std::size_t kParameterCountMax = 32;
constexpr std::string_view kService = "dsql";
constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kEmptyPayloadHash =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

constexpr std::string_view kInvalidTokenText =
    "The security token included in the request is invalid.";
constexpr std::string_view kExpiredKeyText =
    "The security token included in the request is expired";
constexpr std::string_view kSignatureText =
    "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details.";

std::string_view action_for(std::string_view role) {
  return role == kAdminRole ? kDbConnectAdmin : kDbConnect;
}

/// The signature of the presigned GET whose parameters (all but the signature) are `query`.
std::string sign(std::string_view secret, const CredentialScope& scope, std::string_view date_time,
                 std::string_view host, NameValues query) {
  SignedRequest request;
  request.query = std::move(query);
  request.headers = {{"host", std::string(host)}};
  request.payload_hash = kEmptyPayloadHash;
  return signature(secret, scope, string_to_sign(date_time, scope, canonical_request(request)));
}

/// A token, taken apart; nothing of it is believed yet.
struct ParsedToken {
  std::string host;
  NameValues query;  // without X-Amz-Signature
  std::string action;
  std::string access_key_id;
  CredentialScope scope;
  std::string terminator;
  std::string date_time;
  std::chrono::system_clock::time_point date;
  std::chrono::seconds lifetime{0};
  std::string session_token;
  std::string signature;
};

base::Error malformed(std::string message) {
  return base::Error{base::Code::kInvalidArgument, std::move(message), {}};
}

/// Each of the parameters that we read must be there once: of two, a signer and we might mean
/// different ones.
base::Result<std::string> one(const NameValues& query, std::string_view name, bool optional) {
  const std::string* found = nullptr;
  for (const auto& [key, value] : query) {
    if (key != name) continue;
    if (found != nullptr) return malformed(std::string(name) + " is given twice");
    found = &value;
  }
  if (found != nullptr) return *found;
  if (optional) return std::string{};
  return malformed(std::string(name) + " is missing");
}

base::Result<void> read_credential(std::string_view credential, ParsedToken& out) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t slash = credential.find('/');
    parts.emplace_back(credential.substr(0, slash));
    if (slash == std::string_view::npos) break;
    credential.remove_prefix(slash + 1);
  }
  if (parts.size() != 5) {
    return malformed(
        "the Credential is mal-formed; expecting "
        "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
  }
  out.access_key_id = parts[0];
  out.scope = {.date = parts[1], .region = parts[2], .service = parts[3]};
  out.terminator = parts[4];
  return {};
}

base::Result<void> read_times(std::string_view date_time, std::string_view expires,
                              ParsedToken& out) {
  const auto date = parse_date_time(date_time);
  if (!date) return malformed("X-Amz-Date must be in the ISO8601 Long Format");
  out.date_time = date_time;
  out.date = *date;
  long seconds = 0;
  const auto [end, error] =
      std::from_chars(expires.data(), expires.data() + expires.size(), seconds);
  if (error != std::errc{} || end != expires.data() + expires.size() || seconds < 1 ||
      seconds > kTokenLifetimeMax.count()) {
    return malformed("X-Amz-Expires must be a number from 1 to 604800 seconds");
  }
  out.lifetime = std::chrono::seconds(seconds);
  return {};
}

base::Result<ParsedToken> parse_token(std::string_view token) {
  if (token.size() > kTokenBytesMax) return malformed("it is too long");
  const std::size_t split = token.find("/?");
  if (split == std::string_view::npos || split == 0) {
    return malformed("it does not have the form <host>/?Action=...");
  }
  ParsedToken out;
  out.host = token.substr(0, split);
  ZORYA_ASSIGN(out.query, parse_query(token.substr(split + 2), kParameterCountMax));
  ZORYA_ASSIGN(const std::string algorithm, one(out.query, "X-Amz-Algorithm", false));
  if (algorithm != kAlgorithm) return malformed("X-Amz-Algorithm must be AWS4-HMAC-SHA256");
  ZORYA_ASSIGN(const std::string headers, one(out.query, "X-Amz-SignedHeaders", false));
  if (headers != "host") return malformed("X-Amz-SignedHeaders must be host");
  ZORYA_ASSIGN(const std::string credential, one(out.query, "X-Amz-Credential", false));
  ZORYA_TRY(read_credential(credential, out));
  ZORYA_ASSIGN(const std::string date_time, one(out.query, "X-Amz-Date", false));
  ZORYA_ASSIGN(const std::string expires, one(out.query, "X-Amz-Expires", false));
  ZORYA_TRY(read_times(date_time, expires, out));
  ZORYA_ASSIGN(out.action, one(out.query, "Action", false));
  ZORYA_ASSIGN(out.session_token, one(out.query, "X-Amz-Security-Token", true));
  ZORYA_ASSIGN(out.signature, one(out.query, "X-Amz-Signature", false));
  std::erase_if(out.query, [](const auto& pair) { return pair.first == "X-Amz-Signature"; });
  return out;
}

TokenVerdict refuse(TokenOutcome outcome, std::string hint, std::string reason = {}) {
  return {
      .outcome = outcome, .hint = std::move(hint), .reason = std::move(reason), .identity_arn = {}};
}

/// Several scope faults are told together, as the services do.
std::string scope_faults(const ParsedToken& token, const ConnectRequest& request) {
  std::string faults;
  const auto add = [&faults](const std::string& fault) {
    if (!faults.empty()) faults += ' ';
    faults += fault;
  };
  if (token.scope.date != token.date_time.substr(0, 8)) {
    add("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        "'" +
        token.scope.date + "' != '" + token.date_time.substr(0, 8) + "', from '" + token.date_time +
        "'.");
  }
  if (token.scope.region != request.region) {
    add("Credential should be scoped to a valid Region, not '" + token.scope.region + "'.");
  }
  if (token.scope.service != kService) {
    add("Credential should be scoped to correct service: 'dsql'.");
  }
  if (token.terminator != "aws4_request") {
    add("Credential should be scoped with a valid terminator: 'aws4_request', not '" +
        token.terminator + "'.");
  }
  return faults;
}

std::string text_of_clock_fault(const ParsedToken& token, const ConnectRequest& request) {
  const std::string now = format_date_time(request.now);
  if (token.date > request.now + kClockSkewMax) {
    return "Signature not yet current: " + token.date_time + " is still later than " +
           format_date_time(request.now + kClockSkewMax) + " (" + now + " + 5 min.)";
  }
  // To the second: the token of 12:00:00 that lives 900 s is good at 12:15:00, not after.
  if (std::chrono::floor<std::chrono::seconds>(request.now) > token.date + token.lifetime) {
    return "Signature expired: " + format_date_time(token.date + token.lifetime) +
           " is now earlier than " + now;
  }
  return {};
}

TokenVerdict judge_policy(const AccessKey& key, const ConnectRequest& request) {
  const std::string action = "dsql:" + std::string(action_for(request.role));
  const Decision decision = decide(key.identity, action, request.cluster_arn);
  TokenVerdict verdict;
  verdict.identity_arn = key.identity.arn;
  verdict.outcome = TokenOutcome::kAccepted;
  if (decision == Decision::kAllowed) return verdict;
  verdict.outcome = TokenOutcome::kDenied;
  verdict.hint = "User: " + key.identity.arn + " is not authorized to perform: " + action +
                 " on resource: " + request.cluster_arn;
  verdict.hint += decision == Decision::kDeniedExplicitly
                      ? " with an explicit deny in an identity-based policy"
                      : " because no identity-based policy allows the " + action + " action";
  return verdict;
}

TokenVerdict judge_key(const ParsedToken& token, const AccessKey& key,
                       const ConnectRequest& request) {
  if (!equal_in_constant_time(token.session_token, key.session_token)) {
    return refuse(TokenOutcome::kUnknownKey, std::string(kInvalidTokenText),
                  "the session token is not that of the access key");
  }
  if (key.expires && request.now >= *key.expires) {
    return refuse(TokenOutcome::kExpiredKey, std::string(kExpiredKeyText));
  }
  const std::string expected =
      sign(key.secret_access_key, token.scope, token.date_time, request.host, token.query);
  if (!equal_in_constant_time(expected, token.signature)) {
    return refuse(TokenOutcome::kSignatureDiffers, std::string(kSignatureText),
                  token.host != request.host ? "the token is for another host" : "");
  }
  if (token.host != request.host) {
    // Signed for our host but sent under another name: no client makes this.
    return refuse(TokenOutcome::kSignatureDiffers, std::string(kSignatureText),
                  "the token's host is not the one that it is signed for");
  }
  if (token.action != action_for(request.role)) {
    return refuse(TokenOutcome::kWrongAction, "Wrong user to action mapping. user: " +
                                                  request.role + ", action: " + token.action);
  }
  return judge_policy(key, request);
}

}  // namespace

base::Result<std::string> make_dsql_token(const AccessKey& key, const TokenRequest& request) {
  if (request.lifetime < std::chrono::seconds(1) || request.lifetime > kTokenLifetimeMax) {
    return base::Error{base::Code::kInvalidArgument, "a token lives from 1 to 604800 seconds", {}};
  }
  const std::string date_time = format_date_time(request.now);
  const CredentialScope scope{
      .date = date_time.substr(0, 8), .region = request.region, .service = std::string(kService)};
  NameValues query = {
      {"Action", std::string(action_for(request.role))},
      {"X-Amz-Algorithm", std::string(kAlgorithm)},
      {"X-Amz-Credential", key.access_key_id + "/" + to_string(scope)},
      {"X-Amz-Date", date_time},
      {"X-Amz-Expires", std::to_string(request.lifetime.count())},
      {"X-Amz-SignedHeaders", "host"},
  };
  if (!key.session_token.empty()) query.emplace_back("X-Amz-Security-Token", key.session_token);
  std::string token = request.host + "/?";
  for (const auto& [name, value] : query) token += name + "=" + uri_encode(value) + "&";
  return token +
         "X-Amz-Signature=" + sign(key.secret_access_key, scope, date_time, request.host, query);
}

TokenVerdict verify_dsql_token(std::string_view text, const ConnectRequest& request,
                               const KeyStore& keys) {
  const auto token = parse_token(text);
  if (!token) {
    return refuse(TokenOutcome::kMalformed,
                  "The password is not a valid authentication token: " + token.error().message);
  }
  if (std::string faults = scope_faults(*token, request); !faults.empty()) {
    return refuse(TokenOutcome::kWrongScope, std::move(faults));
  }
  if (std::string fault = text_of_clock_fault(*token, request); !fault.empty()) {
    return refuse(token->date > request.now ? TokenOutcome::kNotYetCurrent : TokenOutcome::kExpired,
                  std::move(fault));
  }
  const auto key = keys.find(token->access_key_id);
  if (!key) {
    return refuse(TokenOutcome::kUnknownKey, std::string(kInvalidTokenText),
                  "the access key is not known here");
  }
  TokenVerdict verdict = judge_key(*token, *key, request);
  verdict.identity_arn = key->identity.arn;
  return verdict;
}

}  // namespace zorya::iam
