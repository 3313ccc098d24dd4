#include "gateway/proxy_response.h"

#include "http/base64.h"
#include "http/field.h"

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>

namespace zorya::gateway {
namespace {

namespace json = boost::json;
using Headers = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t kHeadersMax = 1000;
constexpr std::size_t kHeaderSizeMax = 64u << 10;  // of one value

base::Error malformed(const std::string& why) {
  return base::Error{base::Code::kInvalidArgument, "malformed Lambda proxy response: " + why, {}};
}

base::Result<int> read_status(const json::value* value) {
  if (value == nullptr || value->is_null()) return 200;
  std::int64_t status = 0;
  if (value->is_int64()) {
    status = value->get_int64();
  } else if (value->is_string()) {
    const std::string_view text = value->get_string();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) {
      return malformed("statusCode is no number");
    }
  } else {
    return malformed("statusCode is no number");
  }
  // An interim status would leave the client waiting for the final one.
  if (status < 200 || status > 599) return malformed("statusCode is not from 200 to 599");
  return static_cast<int>(status);
}

base::Result<std::string> read_header_value(const std::string& name, const json::value& value) {
  if (value.is_bool()) return std::string(value.get_bool() ? "true" : "false");
  if (!value.is_string()) return malformed("the value of header " + name + " is no string");
  const std::string_view text = value.get_string();
  if (!http::is_field_value(text)) {
    return malformed("the value of header " + name + " has control characters");
  }
  if (text.size() > kHeaderSizeMax)
    return malformed("the value of header " + name + " is too long");
  return std::string(text);
}

base::Result<std::string> read_header_name(std::string_view name) {
  if (!http::is_token(name)) return malformed("a header name is no token");
  return std::string(name);
}

base::Result<void> read_multi_value_headers(const json::value* value, Headers& headers) {
  if (value == nullptr || value->is_null()) return {};
  if (!value->is_object()) return malformed("multiValueHeaders is no object");
  for (const auto& [key, values] : value->get_object()) {
    ZORYA_ASSIGN(const std::string name, read_header_name(key));
    if (!values.is_array()) return malformed("multiValueHeaders." + name + " is no list");
    for (const json::value& item : values.get_array()) {
      ZORYA_ASSIGN(auto text, read_header_value(name, item));
      headers.emplace_back(name, std::move(text));
      if (headers.size() > kHeadersMax) return malformed("too many headers");
    }
  }
  return {};
}

/// Adds those of `headers` behind those of `multiValueHeaders`. A pair that is there already is not
/// repeated; the casing there wins.
base::Result<void> read_headers(const json::value* value, Headers& headers) {
  if (value == nullptr || value->is_null()) return {};
  if (!value->is_object()) return malformed("headers is no object");
  const std::size_t multi_count = headers.size();
  for (const auto& [key, item] : value->get_object()) {
    ZORYA_ASSIGN(std::string name, read_header_name(key));
    ZORYA_ASSIGN(auto text, read_header_value(name, item));
    bool repeated = false;
    for (std::size_t i = 0; i < multi_count; ++i) {
      if (!http::equals_ignoring_case(headers[i].first, name)) continue;
      repeated = repeated || headers[i].second == text;
      name = headers[i].first;
    }
    if (!repeated) headers.emplace_back(std::move(name), std::move(text));
    if (headers.size() > kHeadersMax) return malformed("too many headers");
  }
  return {};
}

/// The service renames what it sets itself and drops what concerns one connection only.
void remap(Headers& headers) {
  constexpr std::string_view kDropped[] = {
      "Transfer-Encoding", "Expect", "Host", "TE", "Trailer", "Upgrade", "Proxy-Authenticate"};
  constexpr std::string_view kRemapped[] = {
      "Connection",       "Content-Length",   "Date",           "Server",
      "WWW-Authenticate", "x-amzn-RequestId", "x-amz-apigw-id", "X-Amzn-Trace-Id"};
  const auto is_one_of = [](std::string_view name, auto& names) {
    return std::any_of(std::begin(names), std::end(names), [&](std::string_view other) {
      return http::equals_ignoring_case(name, other);
    });
  };
  std::erase_if(headers, [&](const auto& header) { return is_one_of(header.first, kDropped); });
  for (auto& header : headers) {
    if (is_one_of(header.first, kRemapped)) header.first.insert(0, "x-amzn-Remapped-");
  }
}

bool is_binary_accepted(std::span<const std::string> binary_types, std::string_view accept) {
  const std::string_view type = http::first_media_type(accept);
  return std::any_of(binary_types.begin(), binary_types.end(), [&](const std::string& pattern) {
    return http::media_type_matches(pattern, type);
  });
}

base::Result<void> check_members(const json::object& object) {
  if (object.empty()) return malformed("an empty object");
  for (const auto& [key, value] : object) {
    const std::string_view name = key;
    if (name != "statusCode" && name != "headers" && name != "multiValueHeaders" &&
        name != "body" && name != "isBase64Encoded") {
      return malformed("unknown member " + std::string(name.substr(0, 64)));
    }
  }
  const json::value* body = object.if_contains("body");
  if (body != nullptr && !body->is_string() && !body->is_null()) {
    return malformed("body is no string");
  }
  const json::value* flag = object.if_contains("isBase64Encoded");
  if (flag != nullptr && !flag->is_bool() && !flag->is_null()) {
    return malformed("isBase64Encoded is no boolean");
  }
  return {};
}

}  // namespace

std::string_view ProxyResponse::body() const {
  if (decoded_) return *decoded_;
  const json::object* object = document_.if_object();
  const json::value* body = object == nullptr ? nullptr : object->if_contains("body");
  if (body == nullptr || !body->is_string()) return {};
  return body->get_string();
}

base::Result<ProxyResponse> read_proxy_response(std::string_view payload,
                                                std::span<const std::string> binary_types,
                                                std::string_view accept) {
  json::error_code error;
  ProxyResponse response;
  response.document_ = json::parse(payload, error);
  if (error) return malformed("no JSON: " + error.message());
  if (!response.document_.is_object()) return malformed("no object");
  const json::object& object = response.document_.get_object();
  ZORYA_TRY(check_members(object));
  ZORYA_ASSIGN(response.status, read_status(object.if_contains("statusCode")));
  ZORYA_TRY(read_multi_value_headers(object.if_contains("multiValueHeaders"), response.headers));
  ZORYA_TRY(read_headers(object.if_contains("headers"), response.headers));
  remap(response.headers);
  const bool has_type = std::any_of(
      response.headers.begin(), response.headers.end(),
      [](const auto& header) { return http::equals_ignoring_case(header.first, "Content-Type"); });
  if (!has_type) response.headers.emplace_back("Content-Type", "application/json");
  const json::value* flag = object.if_contains("isBase64Encoded");
  if (flag != nullptr && flag->is_bool() && flag->get_bool() &&
      is_binary_accepted(binary_types, accept)) {
    response.decoded_ = http::base64_decode(response.body());
    if (!response.decoded_) {
      return base::Error{base::Code::kInternal, "the body is no base64", {}};
    }
  }
  return response;
}

}  // namespace zorya::gateway
