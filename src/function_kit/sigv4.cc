#include "function_kit/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <ctime>
#include <string_view>

namespace function_kit {
namespace {

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

std::string sha256(std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(data.data(), data.size(), digest.data(), &size, EVP_sha256(), nullptr);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

std::string hmac(std::string_view key, std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest.data(), &size);
  return {reinterpret_cast<const char*>(digest.data()), size};
}

/// RFC 3986 unreserved characters stay, all others are escaped; a path keeps its slashes.
std::string encode(std::string_view text, bool keep_slash) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~' || (keep_slash && c == '/');
    if (plain) {
      encoded += c;
      continue;
    }
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    encoded += '%';
    encoded += kDigits[static_cast<unsigned char>(c) >> 4];
    encoded += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return encoded;
}

std::string amazon_date(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &parts);
  return text.data();
}

std::string to_query(const std::map<std::string, std::string>& parameters) {
  std::map<std::string, std::string> encoded;  // sorted by the encoded name, as signing wants it
  for (const auto& [name, value] : parameters) encoded[encode(name, false)] = encode(value, false);
  std::string query;
  for (const auto& [name, value] : encoded) {
    query.append(query.empty() ? "" : "&").append(name).append("=").append(value);
  }
  return query;
}

std::string signing_key(const Credentials& credentials, const std::string& day,
                        const PresignRequest& request) {
  const std::string date_key = hmac("AWS4" + credentials.secret_access_key, day);
  return hmac(hmac(hmac(date_key, request.region), request.service), "aws4_request");
}

}  // namespace

std::string presign(const PresignRequest& request, const Credentials& credentials) {
  const std::string date = amazon_date(request.time);
  const std::string day = date.substr(0, 8);
  const std::string scope = day + "/" + request.region + "/" + request.service + "/aws4_request";
  auto parameters = request.query;
  parameters["X-Amz-Algorithm"] = "AWS4-HMAC-SHA256";
  parameters["X-Amz-Credential"] = credentials.access_key_id + "/" + scope;
  parameters["X-Amz-Date"] = date;
  parameters["X-Amz-Expires"] = std::to_string(request.expires.count());
  parameters["X-Amz-SignedHeaders"] = "host";
  if (!credentials.session_token.empty()) {
    parameters["X-Amz-Security-Token"] = credentials.session_token;
  }
  const std::string query = to_query(parameters);
  const std::string path = encode(request.path, true);
  const std::string payload =
      request.payload_hash.empty() ? to_hex(sha256("")) : request.payload_hash;
  const std::string canonical =
      "GET\n" + path + "\n" + query + "\nhost:" + request.host + "\n\nhost\n" + payload;
  const std::string to_sign =
      "AWS4-HMAC-SHA256\n" + date + "\n" + scope + "\n" + to_hex(sha256(canonical));
  const std::string signature = to_hex(hmac(signing_key(credentials, day, request), to_sign));
  return request.host + path + "?" + query + "&X-Amz-Signature=" + signature;
}

std::string dsql_token(const std::string& endpoint, const std::string& region,
                       const std::string& user, const Credentials& credentials,
                       std::chrono::system_clock::time_point time) {
  PresignRequest request;
  request.host = endpoint;
  request.query = {{"Action", user == "admin" ? "DbConnectAdmin" : "DbConnect"}};
  request.service = "dsql";
  request.region = region;
  request.time = time;
  return presign(request, credentials);
}

}  // namespace function_kit
