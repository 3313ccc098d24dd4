#include "gateway/event.h"

#include "gateway/json_text.h"
#include "http/base64.h"
#include "http/date.h"
#include "http/target.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace zorya::gateway {
namespace {

using http::equals_ignoring_case;
using http::FieldView;

constexpr std::string_view kMethods[] = {"DELETE", "GET",  "HEAD", "OPTIONS",
                                         "PATCH",  "POST", "PUT"};

// What is not handed on. The last four are replaced by ours.
constexpr std::string_view kNotDelivered[] = {"Connection",
                                              "Content-Length",
                                              "Content-MD5",
                                              "Expect",
                                              "Max-Forwards",
                                              "Proxy-Authenticate",
                                              "Server",
                                              "TE",
                                              "Transfer-Encoding",
                                              "Trailer",
                                              "Upgrade",
                                              "WWW-Authenticate",
                                              "X-Amzn-Trace-Id",
                                              "X-Forwarded-For",
                                              "X-Forwarded-Port",
                                              "X-Forwarded-Proto"};

bool is_delivered(const FieldView& field) {
  if (equals_ignoring_case(field.name, "Authorization") && field.value.starts_with("AWS4-")) {
    return false;
  }
  return std::none_of(
      std::begin(kNotDelivered), std::end(kNotDelivered),
      [&](std::string_view name) { return equals_ignoring_case(name, field.name); });
}

bool less_ignoring_case(std::string_view left, std::string_view right) {
  return std::lexicographical_compare(
      left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
        const auto lower = [](char c) {
          return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        };
        return lower(a) < lower(b);
      });
}

std::string forwarded_for(const Incoming& incoming) {
  std::string text;
  for (const FieldView& field : incoming.fields) {
    if (!equals_ignoring_case(field.name, "X-Forwarded-For")) continue;
    text.append(field.value).append(", ");
  }
  return text.append(incoming.source_ip);
}

/// A name and its values, in one map of the event.
struct Pair {
  std::string_view name;
  std::string_view value;
};

/// Appends {"name":"last value"} or {"name":["all","values"]} of pairs whose equal names stand
/// together; the first one's casing is the name's.
template <typename Same>
void append_map(std::string& out, std::span<const Pair> pairs, bool all_values, Same same) {
  out += '{';
  for (std::size_t i = 0; i < pairs.size();) {
    std::size_t end = i + 1;
    while (end < pairs.size() && same(pairs[i].name, pairs[end].name)) ++end;
    if (i > 0) out += ',';
    append_json_string(out, pairs[i].name);
    out += ':';
    if (all_values) {
      for (std::size_t j = i; j < end; ++j) {
        out += j == i ? '[' : ',';
        append_json_string(out, pairs[j].value);
      }
      out += ']';
    } else {
      append_json_string(out, pairs[end - 1].value);
    }
    i = end;
  }
  out += '}';
}

void append_headers(std::string& out, const Incoming& incoming, const EventContext& context) {
  const std::string forwarded = forwarded_for(incoming);
  const std::string port = std::to_string(incoming.port);
  std::vector<Pair> pairs;
  pairs.reserve(incoming.fields.size() + 4);
  for (const FieldView& field : incoming.fields) {
    if (!is_delivered(field)) continue;
    std::string_view name = field.name;
    if (equals_ignoring_case(name, "User-Agent")) name = "User-Agent";
    if (equals_ignoring_case(name, "Authorization")) name = "Authorization";
    pairs.push_back({name, field.value});
  }
  pairs.push_back({"X-Amzn-Trace-Id", context.trace_header});
  pairs.push_back({"X-Forwarded-For", forwarded});
  pairs.push_back({"X-Forwarded-Port", port});
  pairs.push_back({"X-Forwarded-Proto", "http"});
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return less_ignoring_case(a.name, b.name); });
  out += R"(,"headers":)";
  append_map(out, pairs, false, equals_ignoring_case);
  out += R"(,"multiValueHeaders":)";
  append_map(out, pairs, true, equals_ignoring_case);
}

void append_query(std::string& out, std::string_view query) {
  const auto parameters = http::parse_query(query);
  if (parameters.empty()) {
    out += R"(,"queryStringParameters":null,"multiValueQueryStringParameters":null)";
    return;
  }
  std::vector<Pair> pairs;
  pairs.reserve(parameters.size());
  for (const auto& parameter : parameters) pairs.push_back({parameter.name, parameter.value});
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.name < b.name; });
  const auto same = [](std::string_view a, std::string_view b) { return a == b; };
  out += R"(,"queryStringParameters":)";
  append_map(out, pairs, false, same);
  out += R"(,"multiValueQueryStringParameters":)";
  append_map(out, pairs, true, same);
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  out += ',';
  append_json_string(out, name);
  out += ':';
  append_json_string(out, value);
}

void append_parameters(std::string& out, const RouteMatch& match) {
  out += R"(,"pathParameters":)";
  if (match.parameters.empty()) {
    out += "null";
  } else {
    char separator = '{';
    for (const PathParameter& parameter : match.parameters) {
      out += separator;
      separator = ',';
      append_json_string(out, parameter.name);
      out += ':';
      append_json_string(out, parameter.value);
    }
    out += '}';
  }
  out += R"(,"stageVariables":)";
  if (match.api->stage_variables.empty()) {
    out += "null";
    return;
  }
  char separator = '{';
  for (const auto& [name, value] : match.api->stage_variables) {
    out += separator;
    separator = ',';
    append_json_string(out, name);
    out += ':';
    append_json_string(out, value);
  }
  out += '}';
}

void append_identity(std::string& out, const Incoming& incoming) {
  out += R"(,"identity":{"cognitoIdentityPoolId":null,"accountId":null,"cognitoIdentityId":null,)"
         R"("caller":null,"sourceIp":)";
  append_json_string(out, incoming.source_ip);
  out += R"(,"principalOrgId":null,"accessKey":null,"cognitoAuthenticationType":null,)"
         R"("cognitoAuthenticationProvider":null,"userArn":null,"userAgent":)";
  append_json_string_or_null(out, http::find_last(incoming.fields, "User-Agent"));
  out += R"(,"user":null})";
}

/// The host without its port: "[::1]:3000" gives "::1".
std::string_view domain_of(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  return authority.substr(0, authority.find(':'));
}

void append_request_context(std::string& out, const Incoming& incoming, const RouteMatch& match,
                            const EventContext& context) {
  const std::string_view domain = domain_of(incoming.authority);
  const auto epoch_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(context.time.time_since_epoch())
          .count();
  out += R"(,"requestContext":{"resourceId":)";
  append_json_string(out, match.resource_id);
  append_member(out, "resourcePath", match.resource);
  append_member(out, "httpMethod", effective_method(incoming));
  append_member(out, "extendedRequestId", context.ids.extended_request_id);
  append_member(out, "requestTime", http::common_log_date(context.time));
  out += R"(,"path":)";
  if (match.stage_in_path) {
    append_json_string(out, "/" + match.api->stage + std::string(match.path));
  } else {
    append_json_string(out, match.path);
  }
  append_member(out, "accountId", context.account);
  append_member(out, "protocol", "HTTP/1.1");
  append_member(out, "stage", match.api->stage);
  append_member(out, "domainPrefix", domain.substr(0, domain.find('.')));
  out += R"(,"requestTimeEpoch":)" + std::to_string(epoch_ms);
  append_member(out, "requestId", context.ids.request_id);
  append_identity(out, incoming);
  append_member(out, "domainName", domain);
  append_member(out, "deploymentId", short_id(match.api->id + match.api->stage));
  append_member(out, "apiId", match.api->id);
  out += '}';
}

bool is_binary(const Incoming& incoming, const RouteMatch& match) {
  const std::string_view declared = http::find_last(incoming.fields, "Content-Type");
  const std::string_view type =
      declared.empty() ? std::string_view("application/json") : http::first_media_type(declared);
  const auto& patterns = match.api->binary_media_types;
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return http::media_type_matches(pattern, type);
  });
}

}  // namespace

std::string_view effective_method(const Incoming& incoming) {
  const std::string_view wanted = http::find_last(incoming.fields, "X-HTTP-Method-Override");
  const bool known =
      std::find(std::begin(kMethods), std::end(kMethods), wanted) != std::end(kMethods);
  return known ? wanted : incoming.method;
}

std::string make_event(const Incoming& incoming, const RouteMatch& match,
                       const EventContext& context) {
  std::string out;
  std::size_t fields_size = 0;
  for (const FieldView& field : incoming.fields) {
    fields_size += field.name.size() + field.value.size() + 8;
  }
  out.reserve(2048 + 2 * fields_size + 3 * incoming.query.size() + incoming.body.size() * 9 / 8);
  out += R"({"resource":)";
  append_json_string(out, match.resource);
  append_member(out, "path", match.path);
  append_member(out, "httpMethod", effective_method(incoming));
  append_headers(out, incoming, context);
  append_query(out, incoming.query);
  append_parameters(out, match);
  append_request_context(out, incoming, match, context);
  const bool base64 = !incoming.body.empty() && is_binary(incoming, match);
  out += R"(,"body":)";
  if (incoming.body.empty()) {
    out += "null";
  } else if (base64) {
    out += '"';
    out += http::base64_encode(incoming.body);
    out += '"';
  } else {
    append_json_string(out, incoming.body);
  }
  out += base64 ? R"(,"isBase64Encoded":true})" : R"(,"isBase64Encoded":false})";
  return out;
}

}  // namespace zorya::gateway
