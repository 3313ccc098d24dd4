// The Runtime API side of an environment: what a runtime may ask on 127.0.0.1:9001.
// Source: the fact sheet, section 1; states: 1.7.

#include "base/log.h"
#include "function_host/environment.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

namespace zorya::function_host {
namespace {

constexpr std::size_t kConnectionCountMax = 64;
constexpr std::string_view kRuntimePrefix = "/2018-06-01/runtime/";
constexpr std::string_view kAccepted = "{\"status\":\"OK\"}\n";

bool same_token(std::string_view a, std::string_view b) {
  if (a.size() != b.size() || a.empty()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |=
        static_cast<unsigned>(static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]));
  }
  return difference == 0;
}

/// A header's value must not end the line: an answer could be split by what a caller sent.
bool is_header_value(std::string_view value) {
  return value.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

/// `name` of a flat JSON object's string member; empty if it is not there. For log lines only.
std::string member_of(std::string_view json, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\"";
  std::size_t at = json.find(key);
  if (at == std::string_view::npos) return {};
  at = json.find_first_not_of(" \t:", at + key.size());
  if (at == std::string_view::npos || json[at] != '"') return {};
  const std::size_t end = json.find('"', at + 1);
  return std::string(json.substr(at + 1, end - at - 1));
}

/// The service's rule for error types: "(Runtime|Function).Name", else an unknown one.
std::string normal_error_type(std::string_view type) {
  const bool known = type.starts_with("Runtime.") || type.starts_with("Function.");
  bool good = known && type.size() > 9;
  for (const char c : type.substr(known ? type.find('.') + 1 : 0)) {
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
  }
  if (good) return std::string(type);
  return type.starts_with("Function.") ? "Function.Unknown" : "Runtime.Unknown";
}

}  // namespace

void Environment::accept_connections() {
  for (;;) {
    base::UniqueFd fd(::accept4(sandbox_.listeners[kRuntimeApiListener].get(), nullptr, nullptr,
                                SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return after_failed_accept();
    connections_.remove_if([](const Connection& c) { return c.dead; });
    if (connections_.size() >= kConnectionCountMax) continue;
    const int one = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connections_.emplace_back();
    Connection& connection = connections_.back();
    connection.fd = std::move(fd);
    context_.loop.watch(connection.fd.get(), EPOLLIN, [this, &connection](std::uint32_t events) {
      on_connection(connection, events);
    });
    // A runtime connects and sends in one go: what it asks is often here already.
    on_connection(connection, EPOLLIN);
    if (state_ == State::kEnding) return;
  }
}

/// Nothing to accept is the usual end. A listener that fails otherwise (a hostile template may keep
/// a copy and shut it down; descriptors may run out) would wake the loop for ever.
void Environment::after_failed_accept() {
  if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
  base::log(base::LogLevel::kWarning, "function_host",
            base::errno_error(origin() + ": accept", errno).message);
  on_exit(SIGKILL, "a listener of the environment failed");
}

void Environment::on_connection(Connection& connection, std::uint32_t events) {
  if (connection.dead) return;
  if ((events & EPOLLOUT) != 0) send(connection, {});
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || connection.dead) return;
  if (!read_requests(connection) && state_ != State::kEnding) close_connection(connection);
}

/// False: the connection is to be closed.
bool Environment::read_requests(Connection& connection) {
  std::array<char, 65536> buffer;
  for (int round = 0; round < 16; ++round) {
    const ssize_t n = ::recv(connection.fd.get(), buffer.data(), buffer.size(), 0);
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    connection.reader.append({buffer.data(), static_cast<std::size_t>(n)});
    RuntimeRequest request;
    RuntimeRequestReader::State state{};
    while ((state = connection.reader.next(request)) == RuntimeRequestReader::State::kRequest) {
      if (!request.keep_alive) connection.close_when_sent = true;
      handle(connection, request);
      if (state_ == State::kEnding || connection.dead) return true;
    }
    if (state == RuntimeRequestReader::State::kBad) {
      send_error(connection, 400, "TruncatedHTTPRequest", "HTTP request detected as truncated");
      return false;
    }
    if (connection.reader.take_continue()) send(connection, "HTTP/1.1 100 Continue\r\n\r\n");
    if (static_cast<std::size_t>(n) < buffer.size()) return true;
  }
  return true;
}

void Environment::close_connection(Connection& connection) {
  if (connection.dead) return;
  connection.dead = true;
  context_.loop.unwatch(connection.fd.get());
  connection.fd.reset();
  if (waiting_ == &connection) {  // a runtime that hangs up its wait for work is leaving
    waiting_ = nullptr;
    if (state_ == State::kIdle) end();
  }
}

void Environment::send(Connection& connection, std::string bytes) {
  if (connection.dead) return;
  const bool was_blocked = !connection.out.empty();
  if (was_blocked) {
    connection.out += bytes;
  } else {
    connection.out = std::move(bytes);
  }
  std::size_t sent = 0;
  while (sent < connection.out.size()) {
    const ssize_t n = ::send(connection.fd.get(), connection.out.data() + sent,
                             connection.out.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) {
      close_connection(connection);
      return;
    }
    sent += static_cast<std::size_t>(n);
  }
  connection.out.erase(0, sent);
  const bool blocked = !connection.out.empty();
  if (blocked != was_blocked) {
    context_.loop.change(connection.fd.get(), blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
  if (!blocked && connection.close_when_sent && waiting_ != &connection) {
    ::shutdown(connection.fd.get(), SHUT_WR);
  }
}

void Environment::send_error(Connection& connection, int status, std::string_view type,
                             std::string_view message) {
  send(connection, runtime_response(status, "application/json", "",
                                    "{\"errorMessage\":" + json_quote(message) +
                                        ",\"errorType\":" + json_quote(type) + "}"));
}

void Environment::handle(Connection& connection, RuntimeRequest& request) {
  const std::string_view path = std::string_view(request.path).substr(0, request.path.find('?'));
  const bool get = request.method == "GET";
  const bool post = request.method == "POST";
  if (path.starts_with(kRuntimePrefix)) {
    const std::string_view rest = path.substr(kRuntimePrefix.size());
    if (get && rest == "invocation/next") return handle_next(connection);
    if (get && rest == "restore/next") return handle_restore_next(connection);
    if (post && rest == "init/error") return handle_init_error(connection, request, false);
    if (post && rest == "restore/error") return handle_init_error(connection, request, true);
    if (post && rest.starts_with("invocation/")) {
      return handle_invocation(connection, request, rest.substr(11));
    }
  }
  if (get && path == "/2018-06-01/ping") {
    return send(connection, runtime_response(200, "text/plain", "", "pong"));
  }
  if (get && path == "/2021-04-23/credentials") return handle_credentials(connection, request);
  if (path.starts_with("/2022-07-01/telemetry") || path.starts_with("/2020-08-15/logs")) {
    const bool telemetry = path.starts_with("/2022");
    return send_error(connection, 202, telemetry ? "Telemetry.NotSupported" : "Logs.NotSupported",
                      telemetry ? "Telemetry API is not supported" : "Logs API is not supported");
  }
  if (path.starts_with("/2020-01-01/extension/")) {
    return send_error(connection, 403, "Extension.RegistrationClosed",
                      "extensions are not supported here");
  }
  send_error(connection, 404, "NotFound",
             "no such operation: " + request.method + " " + std::string(path.substr(0, 200)));
}

void Environment::handle_next(Connection& connection) {
  if (kind_ == EnvironmentKind::kTemplate) {
    StartFailure failure;
    failure.error_type = "Runtime.Unknown";
    failure.reason = "the runtime asked for work without going through libzorya_clone";
    return fail_start(std::move(failure));
  }
  if (state_ != State::kInit && state_ != State::kRestoring && state_ != State::kResponded) {
    return send_error(connection, 403, "InvalidStateTransition",
                      state_ == State::kBusy ? "the current invocation has no response yet"
                                             : "another call waits for the next invocation");
  }
  waiting_ = &connection;
  become_ready();
}

void Environment::handle_restore_next(Connection& connection) {
  if (!version_->snap_start) {
    return send_error(connection, 404, "NotFound", "SnapStart is not on for this function");
  }
  if (kind_ == EnvironmentKind::kTemplate) {
    StartFailure failure;
    failure.error_type = "Runtime.Unknown";
    failure.reason = "the runtime waits in restore/next, which cannot be cloned";
    return fail_start(std::move(failure));
  }
  if (state_ != State::kInit) {
    return send_error(connection, 403, "InvalidStateTransition", "INIT is over");
  }
  // A cold start under SnapStart: nothing was saved, so the restore is at once.
  send(connection, runtime_response(200, "application/json", "", ""));
}

void Environment::send_event(Connection& connection) {
  const Invocation& invocation = *invocation_;
  const auto deadline = std::chrono::duration_cast<std::chrono::milliseconds>(
                            (invoke_began_wall_ + version_->spec.timeout).time_since_epoch())
                            .count();
  std::string headers = "Lambda-Runtime-Aws-Request-Id: " + invocation.request_id +
                        "\r\nLambda-Runtime-Deadline-Ms: " + std::to_string(deadline) +
                        "\r\nLambda-Runtime-Invoked-Function-Arn: " + version_->function_arn +
                        "\r\n";
  const std::string& trace = invocation.trace.header;
  if (!trace.empty() && is_header_value(trace)) {
    headers += "Lambda-Runtime-Trace-Id: " + trace + "\r\n";
  }
  const std::string& client = invocation.request.client_context;
  if (!client.empty() && is_header_value(client)) {
    headers += "Lambda-Runtime-Client-Context: " + client + "\r\n";
  }
  send(connection, runtime_response(200, "application/json", headers, invocation.request.payload));
}

void Environment::handle_invocation(Connection& connection, RuntimeRequest& request,
                                    std::string_view rest) {
  const std::size_t slash = rest.find('/');
  const std::string_view id = rest.substr(0, slash);
  const std::string_view verb = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  if (verb != "response" && verb != "error") {
    return send_error(connection, 404, "NotFound", "no such operation");
  }
  if (state_ != State::kBusy) {
    return send_error(connection, 403, "InvalidStateTransition", "no invocation is under way");
  }
  if (id != invocation_->request_id) {
    return send_error(connection, 400, "InvalidRequestID", "Invalid request ID");
  }
  if (!request.header("lambda-runtime-function-response-mode").empty()) {
    return send_error(connection, 400, "InvalidFunctionResponseMode",
                      "response streaming is not supported here");
  }
  state_ = State::kResponded;
  if (request.too_large) {
    send_error(connection, 413, "RequestEntityTooLarge",
               "Exceeded maximum allowed payload size (6291556 bytes).");
    finish(PhaseStatus::kError, "Function.ResponseSizeTooLarge",
           error_payload("Function.ResponseSizeTooLarge",
                         "Response payload size exceeded maximum allowed payload size (6291556 "
                         "bytes)."),
           "Unhandled", "the response was over 6 MB");
    return;
  }
  send(connection, runtime_response(202, "application/json", "", kAccepted));
  if (verb == "response") {
    finish(PhaseStatus::kSuccess, "", std::move(request.body), "", "");
    return;
  }
  // The service counts a handler's exception as an answer: its report has no status.
  finish(PhaseStatus::kSuccess, "", std::move(request.body), "Unhandled",
         "the function reported an error");
}

void Environment::handle_init_error(Connection& connection, const RuntimeRequest& request,
                                    bool restore_error) {
  const bool legal = restore_error ? version_->snap_start &&
                                         (state_ == State::kRestoring || state_ == State::kInit)
                                   : state_ == State::kInit || state_ == State::kRestoring;
  if (!legal) {
    return send_error(connection, 403, "InvalidStateTransition", "the environment has started");
  }
  send(connection, runtime_response(202, "application/json", "", kAccepted));
  StartFailure failure;
  const std::string_view type = request.header("lambda-runtime-function-error-type");
  const std::string from_body = member_of(request.body, "errorType");
  failure.error_type = normal_error_type(type.empty() ? from_body : type);
  failure.payload = request.body;
  failure.reason = restore_error ? "an after-restore hook failed" : "INIT failed";
  const std::string message = member_of(request.body, "errorMessage");
  if (!message.empty()) failure.reason += ": " + message;
  failure.retry = !restore_error;
  fail_start(std::move(failure));
}

void Environment::handle_credentials(Connection& connection, const RuntimeRequest& request) {
  if (!version_->snap_start ||
      !same_token(request.header("authorization"), version_->credentials_token)) {
    return send(connection, runtime_response(404, "text/plain", "", "404 page not found\n"));
  }
  const Credentials credentials = context_.options.credentials(version_->spec.role_arn);
  send(connection,
       runtime_response(200, "application/json", "",
                        "{\"AccessKeyId\":" + json_quote(credentials.access_key_id) +
                            ",\"SecretAccessKey\":" + json_quote(credentials.secret_access_key) +
                            ",\"Token\":" + json_quote(credentials.session_token) +
                            ",\"Expiration\":\"" + iso_time(credentials.expires) + "\"}"));
}

}  // namespace zorya::function_host
