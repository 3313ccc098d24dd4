#include "gateway/exchange.h"

#include <boost/json.hpp>

#include <utility>

namespace zorya::gateway {
namespace {

using function_host::InvokeOutcome;
using function_host::InvokeRequest;
using function_host::InvokeResult;

constexpr std::size_t kMethodArnSizeMax = 1600;
constexpr std::size_t kReasonSizeMax = 512;
constexpr std::size_t kErrorPayloadSizeMax = 64u << 10;  // read for its errorType only

/// A header value of ours: visible ASCII, bounded.
std::string header_safe(std::string_view text) {
  std::string safe(text.substr(0, kReasonSizeMax));
  for (char& c : safe) {
    if (c < 0x20 || c == 0x7f) c = c == '\n' || c == '\t' ? ' ' : '?';
  }
  return safe;
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

/// The errorType of an error object. Not its message: that is the function's, and may tell a client
/// what only the log should.
std::string error_type_of(std::string_view payload) {
  if (payload.size() > kErrorPayloadSizeMax) return {};
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(payload, error);
  if (error || !value.is_object()) return {};
  const boost::json::value* type = value.get_object().if_contains("errorType");
  if (type == nullptr || !type->is_string()) return {};
  return std::string(std::string_view(type->get_string()).substr(0, 128));
}

std::string_view failure_text(InvokeOutcome outcome) {
  switch (outcome) {
    case InvokeOutcome::kThrottled:
      return "it is throttled: no environment is free";
    case InvokeOutcome::kNotFound:
      return "it does not exist";
    case InvokeOutcome::kNotReady:
      return "it has no active version";
    case InvokeOutcome::kTooLarge:
      return "the event is over the 6 MB that an invoke takes";
    case InvokeOutcome::kOk:
    case InvokeOutcome::kFunctionError:
      break;
  }
  return "it failed";
}

/// "function F: it failed (ValueError)".
std::string failure_of(const InvokeResult& result, const std::string& function) {
  std::string text = "function " + function + ": ";
  text += result.reason.empty() ? failure_text(result.outcome) : std::string_view(result.reason);
  if (result.outcome == InvokeOutcome::kFunctionError) {
    const std::string type = error_type_of(result.payload);
    if (!type.empty()) text += " (" + type + ")";
  }
  return text;
}

/// What the Invoke call itself would have answered, for the trace.
int invoke_status_of(InvokeOutcome outcome) {
  switch (outcome) {
    case InvokeOutcome::kOk:
    case InvokeOutcome::kFunctionError:
      return 200;
    case InvokeOutcome::kThrottled:
      return 429;
    case InvokeOutcome::kNotFound:
      return 404;
    case InvokeOutcome::kNotReady:
      return 409;
    case InvokeOutcome::kTooLarge:
      return 413;
  }
  return 0;
}

}  // namespace

std::string_view Response::body() const {
  if (const auto* text = std::get_if<std::string_view>(&content)) return *text;
  return std::get<ProxyResponse>(content).body();
}

Exchange::Exchange(const Settings& settings, Incoming incoming,
                   std::chrono::system_clock::time_point received)
    : settings_(settings), incoming_(incoming) {
  context_.account = settings_.account;
  context_.ids = make_request_ids();
  context_.time = received;
}

std::optional<InvokeRequest> Exchange::begin(std::shared_ptr<const RouteTable> table,
                                             std::chrono::system_clock::time_point now) {
  table_ = std::move(table);
  const std::string_view method = effective_method(incoming_);
  match_ = table_->match(method, incoming_.path);
  if (!match_) {
    answer_ = kMissingAuthenticationToken;
    return std::nullopt;
  }
  const std::string arn = "arn:aws:execute-api:" + settings_.region + ':' + settings_.account +
                          ':' + match_->api->id + '/' + match_->api->stage + '/';
  if (arn.size() + method.size() + match_->path.size() > kMethodArnSizeMax) {
    answer_ = kUriTooLong;
    match_.reset();
    return std::nullopt;
  }
  trace_ = begin_trace(http::find_last(incoming_.fields, "X-Amzn-Trace-Id"),
                       match_->api->tracing_enabled, context_.time);
  context_.trace_header = trace_.event_header;
  invoked_ = now;
  InvokeRequest request;
  request.function = match_->route->function;
  request.payload = make_event(incoming_, *match_, context_);
  request.trace_header = trace_.invoke_header;
  incoming_.body = {};
  return request;
}

Response Exchange::finish(const InvokeResult& result) {
  invoke_status_ = invoke_status_of(result.outcome);
  if (result.outcome == InvokeOutcome::kOk) return finish_ok(result);
  const Answer& answer = result.outcome == InvokeOutcome::kTooLarge ? kRequestTooLong : kBadGateway;
  return refuse(answer, failure_of(result, match_->route->function));
}

Response Exchange::finish_ok(const InvokeResult& result) const {
  auto read = read_proxy_response(result.payload, match_->api->binary_media_types,
                                  http::find_last(incoming_.fields, "Accept"));
  if (!read) {
    const bool is_malformed = read.error().code == base::Code::kInvalidArgument;
    return refuse(is_malformed ? kBadGateway : kInternalError, read.error().message);
  }
  Response response;
  response.status = read->status;
  for (const auto& [name, value] : read->headers) append_field(response.fields, name, value);
  response.fields += common_fields();
  response.content = std::move(read).value();
  return response;
}

Response Exchange::refuse(const Answer& answer, std::string reason) const {
  Response response;
  response.status = answer.status;
  append_field(response.fields, "Content-Type", "application/json");
  response.fields += common_fields();
  if (!answer.error_type.empty()) {
    append_field(response.fields, "x-amzn-ErrorType", answer.error_type);
  }
  if (!reason.empty()) append_field(response.fields, "x-zorya-reason", header_safe(reason));
  response.content = answer.body;
  response.reason = std::move(reason);
  return response;
}

std::string Exchange::common_fields() const {
  std::string fields;
  append_field(fields, "x-amzn-RequestId", context_.ids.request_id);
  append_field(fields, "x-amz-apigw-id", context_.ids.extended_request_id);
  if (match_) append_field(fields, "X-Amzn-Trace-Id", trace_.invoke_header);
  return fields;
}

std::optional<std::string> Exchange::segment(const Response& response,
                                             std::chrono::system_clock::time_point now) const {
  if (!match_ || !trace_.is_traced) return std::nullopt;
  const template_engine::RestApi& api = *match_->api;
  const std::string name = (api.name.empty() ? api.logical_id : api.name) + '/' + api.stage;
  std::string url = "http://" + std::string(incoming_.authority);
  if (match_->stage_in_path) url += '/' + api.stage;
  url += match_->path;
  StageSegment segment;
  segment.name = name;
  segment.region = settings_.region;
  segment.account = settings_.account;
  segment.api_id = api.id;
  segment.stage = api.stage;
  segment.request_id = context_.ids.request_id;
  segment.method = effective_method(incoming_);
  segment.url = url;
  segment.user_agent = http::find_last(incoming_.fields, "User-Agent");
  segment.client_ip = incoming_.source_ip;
  segment.function = match_->route->function;
  segment.status = response.status;
  segment.content_length_bytes = response.body().size();
  segment.invoke_status = invoke_status_;
  segment.start = context_.time;
  segment.invoke_start = invoked_;
  segment.end = now;
  return make_stage_segment(trace_, segment);
}

std::string Exchange::describe() const {
  return std::string(incoming_.method) + ' ' + std::string(incoming_.path) + " (request " +
         context_.ids.request_id + ')';
}

}  // namespace zorya::gateway
