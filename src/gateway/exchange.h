#pragma once

#include "function_host/client.h"
#include "gateway/answers.h"
#include "gateway/event.h"
#include "gateway/proxy_response.h"
#include "gateway/routes.h"
#include "gateway/trace.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace zorya::gateway {

/// What an answer consists of, but for what belongs to the connection: Date, Connection,
/// Content-Length.
struct Response {
  int status = 0;
  std::string fields;                                     // whole lines, each with its CRLF
  std::variant<std::string_view, ProxyResponse> content;  // the service's words, or the function's
  std::string reason;  // why, where AWS would not say; for the log

  [[nodiscard]] std::string_view body() const;
};

/// Where this gateway stands.
struct Settings {
  std::string account;
  std::string region;
};

/// One request and its answer, without sockets and clocks: the rules alone. Used in this order:
/// begin(), then one of finish() and refuse().
class Exchange {
 public:
  /// `settings` and what `incoming` points to live as long as this object; the body only until
  /// begin().
  Exchange(const Settings& settings, Incoming incoming,
           std::chrono::system_clock::time_point received);

  /// Finds the route and makes the event. Nothing: there is no way on, and `answer` says what to
  /// give to refuse().
  std::optional<function_host::InvokeRequest> begin(std::shared_ptr<const RouteTable> table,
                                                    std::chrono::system_clock::time_point now);
  [[nodiscard]] const Answer& answer() const { return answer_; }

  /// The answer for what the function gave.
  Response finish(const function_host::InvokeResult& result);

  /// One of the service's own answers. `reason` goes to x-zorya-reason.
  [[nodiscard]] Response refuse(const Answer& answer, std::string reason) const;

  /// The X-Ray segment of a request whose stage is traced, once it is answered.
  [[nodiscard]] std::optional<std::string> segment(const Response& response,
                                                   std::chrono::system_clock::time_point now) const;

  /// "GET /todos (request …)", for the log.
  [[nodiscard]] std::string describe() const;

 private:
  [[nodiscard]] std::string common_fields() const;
  [[nodiscard]] Response finish_ok(const function_host::InvokeResult& result) const;

  const Settings& settings_;
  Incoming incoming_;
  EventContext context_;
  std::chrono::system_clock::time_point invoked_;
  std::shared_ptr<const RouteTable> table_;  // what match_ borrows from
  std::optional<RouteMatch> match_;
  TraceContext trace_;
  Answer answer_ = kMissingAuthenticationToken;
  int invoke_status_ = 0;
};

}  // namespace zorya::gateway
