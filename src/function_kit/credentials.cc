#include "function_kit/credentials.h"

#include "function_kit/http_connection.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include <cstdlib>
#include <ctime>
#include <string_view>

namespace function_kit {
namespace {

constexpr std::chrono::seconds kEndpointTimeout{2};
constexpr std::chrono::minutes kRenewBefore{5};

Error no_credentials(std::string why) {
  return {"Function.NoCredentials", "no AWS credentials: " + std::move(why)};
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct Endpoint {
  std::string address;  // host:port
  std::string target;
};

Expected<Endpoint> parse_endpoint(std::string_view uri) {
  constexpr std::string_view kScheme = "http://";
  if (!uri.starts_with(kScheme)) return no_credentials("the endpoint's URI is not http://");
  uri.remove_prefix(kScheme.size());
  const std::size_t slash = std::min(uri.find('/'), uri.size());
  const std::string host(uri.substr(0, slash));
  const std::string name = host.substr(0, host.rfind(':'));
  // A token must not be sent in the clear to another machine; the SDKs have the same list.
  if (name != "127.0.0.1" && name != "localhost" && name != "169.254.170.2" &&
      name != "169.254.170.23") {
    return no_credentials("the endpoint " + host + " is not of this machine");
  }
  const bool has_port = host.find(':') != std::string::npos;
  return Endpoint{has_port ? host : host + ":80",
                  slash < uri.size() ? std::string(uri.substr(slash)) : "/"};
}

Expected<std::chrono::system_clock::time_point> parse_time(const std::string& text) {
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (end == nullptr) return no_credentials("the endpoint's Expiration is " + text);
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

Expected<Credentials> parse_answer(const std::string& body) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(body, error);
  const auto* object = error ? nullptr : value.if_object();
  if (object == nullptr) return no_credentials("the endpoint's answer is no JSON object");
  const auto text = [object](std::string_view name) {
    const auto* found = object->if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
  };
  Credentials credentials{text("AccessKeyId"), text("SecretAccessKey"), text("Token")};
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty()) {
    return no_credentials("the endpoint's answer holds none");
  }
  auto expires = parse_time(text("Expiration"));
  if (!expires) return expires.error();
  credentials.expires = *expires;
  return credentials;
}

Expected<Credentials> fetch(const std::string& uri) {
  auto endpoint = parse_endpoint(uri);
  if (!endpoint) return endpoint.error();
  HttpConnection connection(endpoint->address, kEndpointTimeout);
  auto reply = connection.exchange(
      {.method = "GET",
       .target = endpoint->target,
       .headers = {{"Authorization", variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")}}});
  if (!reply) return no_credentials(reply.error().message);
  if (reply->status != 200) {
    return no_credentials("the endpoint answered " + std::to_string(reply->status));
  }
  return parse_answer(reply->body);
}

}  // namespace

Expected<Credentials> CredentialsProvider::get() {
  const auto now = std::chrono::system_clock::now();
  if (kept_ && kept_->expires && *kept_->expires - kRenewBefore > now) return *kept_;
  Credentials fixed{variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"),
                    variable("AWS_SESSION_TOKEN")};
  if (!fixed.access_key_id.empty() && !fixed.secret_access_key.empty()) return fixed;
  const std::string uri = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (uri.empty()) return no_credentials("neither variables nor a container endpoint are set");
  auto fetched = fetch(uri);
  if (fetched) kept_ = *fetched;
  return fetched;
}

}  // namespace function_kit
