#include "function_kit/http_event.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <openssl/evp.h>

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace function_kit {
namespace {

namespace json = boost::json;

Error bad_event(const std::string& what) {
  return {"Function.BadEvent", "not an API Gateway event of payload 1.0: " + what};
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

const json::value* member(const json::object& object, std::string_view name) {
  const auto found = object.find(name);
  return found == object.end() || found->value().is_null() ? nullptr : &found->value();
}

Expected<std::string> text_member(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  if (value == nullptr || !value->is_string()) return bad_event(std::string(name) + " is no text");
  return std::string(value->get_string());
}

/// A map of texts, or of lists of texts of which the last counts.
Expected<std::map<std::string, std::string>> text_map(const json::object& object,
                                                      std::string_view name) {
  std::map<std::string, std::string> texts;
  const json::value* value = member(object, name);
  if (value == nullptr) return texts;
  if (!value->is_object()) return bad_event(std::string(name) + " is no object");
  for (const auto& each : value->get_object()) {
    if (!each.value().is_string()) return bad_event(std::string(name) + " holds what is no text");
    texts[std::string(each.key())] = std::string(each.value().get_string());
  }
  return texts;
}

Expected<std::string> from_base64(std::string_view text) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return bad_event("the body is not base64");
  // OpenSSL counts the bytes that padding stands for.
  const auto padding = static_cast<std::size_t>(std::count(
      text.end() - static_cast<long>(std::min<std::size_t>(2, text.size())), text.end(), '='));
  bytes.resize(static_cast<std::size_t>(size) - padding);
  return bytes;
}

std::string to_base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

/// Length of the well-formed UTF-8 sequence at the start of `text`; 0 if there is none (RFC 3629).
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const std::uint8_t second = byte(1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool surrogate = first == 0xED && second > 0x9F;
  const bool beyond = first == 0xF4 && second > 0x8F;
  return overlong || surrogate || beyond ? 0 : length;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

Expected<HttpRequest> read_request(const json::object& event) {
  HttpRequest request;
  auto method = text_member(event, "httpMethod");
  if (!method) return method.error();
  request.method = *std::move(method);
  auto path = text_member(event, "path");
  if (!path) return path.error();
  request.path = *std::move(path);
  auto headers = text_map(event, "headers");
  if (!headers) return headers.error();
  for (auto& [name, value] : *headers) request.headers[lower(name)] = std::move(value);
  auto query = text_map(event, "queryStringParameters");
  if (!query) return query.error();
  request.query = *std::move(query);
  if (const json::value* body = member(event, "body"); body != nullptr) {
    if (!body->is_string()) return bad_event("body is no text");
    const json::value* coded = member(event, "isBase64Encoded");
    if (coded != nullptr && coded->is_bool() && coded->get_bool()) {
      auto bytes = from_base64(body->get_string());
      if (!bytes) return bytes.error();
      request.body = *std::move(bytes);
    } else {
      request.body = std::string(body->get_string());
    }
  }
  if (const json::value* context = member(event, "requestContext");
      context != nullptr && context->is_object()) {
    if (auto id = text_member(context->get_object(), "requestId")) request.request_id = *id;
  }
  return request;
}

}  // namespace

Expected<json::value> HttpRequest::json() const {
  boost::system::error_code error;
  json::value value = json::parse(body, error);
  if (error) return Error{"Function.BadJson", "the body is not JSON: " + error.message()};
  return value;
}

Expected<HttpRequest> parse_http_event(std::string_view event) {
  boost::system::error_code error;
  const json::value value = json::parse(event, error);
  if (error) return bad_event(error.message());
  if (!value.is_object()) return bad_event("no object");
  return read_request(value.get_object());
}

std::string to_event_answer(const HttpResponse& response) {
  json::object headers;
  for (const auto& [name, value] : response.headers) headers[name] = value;
  const bool text = is_utf8(response.body);
  return json::serialize(json::object{{"statusCode", response.status},
                                      {"headers", std::move(headers)},
                                      {"body", text ? response.body : to_base64(response.body)},
                                      {"isBase64Encoded", !text}});
}

HttpResponse json_response(int status, const json::value& body) {
  return {status, {{"Content-Type", "application/json"}}, json::serialize(body)};
}

HttpResponse error_response(int status, std::string_view message) {
  return json_response(status, json::object{{"statusCode", status}, {"message", message}});
}

}  // namespace function_kit
