#include "function_kit/runtime.h"

#include "function_kit/http_connection.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cxxabi.h>

#include <charconv>
#include <cstdlib>
#include <exception>
#include <memory>
#include <typeinfo>
#include <utility>

namespace function_kit {
namespace {

constexpr const char* kPrefix = "/2018-06-01/runtime/";
constexpr int kExitRuntimeApiGone = 1;
constexpr int kExitInitError = 1;

std::string type_name(const std::exception& exception) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(typeid(exception).name(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? name.get() : typeid(exception).name();
}

std::string error_payload(const Error& error) {
  return boost::json::serialize(boost::json::object{{"errorMessage", error.message},
                                                    {"errorType", error.type},
                                                    {"stackTrace", boost::json::array()}});
}

HttpConnection::Request error_request(const std::string& path, const Error& error) {
  // The header's form is fixed, (Runtime|Function).Word; the payload tells the real type.
  const bool fits = error.type.starts_with("Runtime.") || error.type.starts_with("Function.");
  return {.method = "POST",
          .target = kPrefix + path,
          .headers = {{"Content-Type", "application/json"},
                      {"Lambda-Runtime-Function-Error-Type",
                       fits ? error.type : std::string("Function.UnhandledError")}},
          .body = error_payload(error)};
}

/// What the handler gave; an exception is an Error of its type.
Expected<std::string> call(const Handler& handler, const std::string& event,
                           const Context& context) {
  try {
    return handler(event, context);
  } catch (const std::exception& exception) {
    return Error{type_name(exception), exception.what()};
  } catch (...) {
    return Error{"Function.UnknownException", "the handler threw what is no std::exception"};
  }
}

Context read_context(HttpReply& reply) {
  Context context;
  context.request_id = reply.headers["lambda-runtime-aws-request-id"];
  context.function_arn = reply.headers["lambda-runtime-invoked-function-arn"];
  context.trace_id = reply.headers["lambda-runtime-trace-id"];
  context.client_context = reply.headers["lambda-runtime-client-context"];
  context.cognito_identity = reply.headers["lambda-runtime-cognito-identity"];
  context.tenant_id = reply.headers["lambda-runtime-aws-tenant-id"];
  const std::string& deadline = reply.headers["lambda-runtime-deadline-ms"];
  long long ms = 0;
  std::from_chars(deadline.data(), deadline.data() + deadline.size(), ms);
  context.deadline = std::chrono::system_clock::time_point(std::chrono::milliseconds(ms));
  return context;
}

HttpConnection::Request result_request(const Context& context,
                                       const Expected<std::string>& result) {
  const std::string base = "invocation/" + context.request_id;
  if (!result) return error_request(base + "/error", result.error());
  return {.method = "POST",
          .target = kPrefix + base + "/response",
          .headers = {{"Content-Type", "application/json"}},
          .body = *result};
}

}  // namespace

std::chrono::milliseconds Context::remaining() const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::system_clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

int run(const std::string& api, const Handler& handler) {
  const LogLevel level = log_level_from_environment();
  const Logger platform(level, {});
  HttpConnection connection(api, std::chrono::milliseconds(0));
  for (;;) {
    auto next = connection.exchange(
        {.method = "GET", .target = std::string(kPrefix) + "invocation/next", .repeatable = true});
    if (!next || next->status != 200) {
      platform.error(
          "no next invocation",
          {{"reason", next ? "status " + std::to_string(next->status) : next.error().message}});
      return kExitRuntimeApiGone;
    }
    Context context = read_context(*next);
    context.log = Logger(level, context.request_id);
    const auto result = call(handler, next->body, context);
    if (!result) {
      context.log.error(result.error().message, {{"errorType", result.error().type}});
    }
    auto request = result_request(context, result);
    if (const auto id = next->headers.find("lambda-runtime-invocation-id");
        id != next->headers.end()) {
      request.headers.emplace_back("Lambda-Runtime-Invocation-Id", id->second);
    }
    auto posted = connection.exchange(request);
    // 413: the result is too large; the caller is told, and this environment goes on.
    if (!posted || posted->status >= 500 || posted->status == 403) {
      platform.error("the result was not taken",
                     {{"reason", posted ? "status " + std::to_string(posted->status)
                                        : posted.error().message}});
      return kExitRuntimeApiGone;
    }
  }
}

int run(const std::function<Expected<Handler>()>& init) {
  const char* api = std::getenv("AWS_LAMBDA_RUNTIME_API");
  const Logger platform(log_level_from_environment(), {});
  if (api == nullptr) {
    platform.fatal("AWS_LAMBDA_RUNTIME_API is not set: this program is started by Lambda");
    return kExitInitError;
  }
  Expected<Handler> handler = Error{"Function.InitError", "init gave nothing"};
  try {
    handler = init();
  } catch (const std::exception& exception) {
    handler = Error{type_name(exception), exception.what()};
  }
  if (handler) return run(api, *handler);
  platform.error(handler.error().message, {{"errorType", handler.error().type}});
  HttpConnection connection(api, std::chrono::seconds(5));
  auto posted = connection.exchange(error_request("init/error", handler.error()));
  if (!posted) platform.error(posted.error().message);
  return kExitInitError;
}

}  // namespace function_kit
