#pragma once

#include "function_kit/expected.h"
#include "function_kit/log.h"

#include <chrono>
#include <functional>
#include <string>

namespace function_kit {

/// One invocation, passed to whoever needs it; nothing of it is kept in the process.
struct Context {
  std::string request_id;
  std::string function_arn;      // as invoked, with version or alias
  std::string trace_id;          // X-Ray header; empty: none
  std::string client_context;    // JSON; usually empty
  std::string cognito_identity;  // JSON; usually empty
  std::string tenant_id;         // usually empty
  std::chrono::system_clock::time_point deadline;
  Logger log{LogLevel::kInfo, {}};

  /// Time until the service ends the invocation; never below zero.
  [[nodiscard]] std::chrono::milliseconds remaining() const;
};

/// The event as JSON text in, the result as JSON text out. An Error, and what the handler throws,
/// becomes the service's function error, and the environment goes on.
using Handler = std::function<Expected<std::string>(const std::string& event, const Context&)>;

/// Serves invocations until the Runtime API is gone; the exit code for main. `api` is host:port.
int run(const std::string& api, const Handler& handler);

/// The whole of a main: `init` makes the handler once (connections, caches); if it fails, that is
/// told as the service's init error. The Runtime API is that of AWS_LAMBDA_RUNTIME_API.
int run(const std::function<Expected<Handler>()>& init);

}  // namespace function_kit
