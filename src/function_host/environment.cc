#include "function_host/environment.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "function_host/memory.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace zorya::function_host {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr std::chrono::seconds kRestoreLimit{10};

LogStream make_log(const HostContext& context, const Version& version) {
  const bool own_group = version.spec.log_group != "/aws/lambda/" + version.spec.name;
  const bool custom_runtime = version.spec.runtime.starts_with("provided");
  return LogStream(*context.options.sink, version.spec.log_group,
                   LogStream::new_stream_name(version.spec.name, version.version, own_group),
                   version.spec.log_format == LogFormat::kJson && custom_runtime);
}

}  // namespace

Environment::Environment(const HostContext& context, std::shared_ptr<const Version> version,
                         EnvironmentOwner& owner, EnvironmentKind kind)
    : context_(context),
      version_(std::move(version)),
      owner_(owner),
      kind_(kind),
      log_(make_log(context, *version_)) {}

Environment::~Environment() {
  CHECK(!watched_ && timer_ == 0, "an environment was destroyed before it ended");
}

void Environment::attach(Sandbox sandbox, Cgroup cgroup) {
  sandbox_ = std::move(sandbox);
  cgroup_ = std::move(cgroup);
  // Even a parked clone may die, or be killed by the kernel.
  context_.loop.watch(sandbox_.pidfd.get(), EPOLLIN, [this](std::uint32_t) { on_pid1_end(); });
  watched_ = true;
}

void Environment::begin_init(Sandbox sandbox, Cgroup cgroup, nanoseconds limit) {
  attach(std::move(sandbox), std::move(cgroup));
  phase_began_ = steady_clock::now();
  log_.append_platform(version_->log.init_start(phase()));
  watch_all();
  if (!init_under_invoke_) start_timer(limit, &Environment::on_start_timeout);
}

void Environment::begin_init_for(std::unique_ptr<Invocation> invocation) {
  init_under_invoke_ = true;
  invocation_ = std::move(invocation);
  invoke_began_ = steady_clock::now();
  invoke_began_wall_ = base::system_clock().now();
  log_.begin_tail(invocation_->request_id);
  log_.append_platform(version_->log.start(invocation_->request_id, invocation_->trace.header));
  start_timer(version_->spec.timeout, &Environment::on_invoke_timeout);
}

void Environment::park(Sandbox sandbox, Cgroup cgroup) {
  state_ = State::kParked;
  attach(std::move(sandbox), std::move(cgroup));
}

void Environment::restore() {
  CHECK(state_ == State::kParked, "only a parked clone is restored");
  state_ = State::kRestoring;
  phase_began_ = steady_clock::now();
  ::send(sandbox_.control.get(), "G", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  log_.append_platform(version_->log.restore_start());
  watch_all();
  start_timer(kRestoreLimit, &Environment::on_start_timeout);
}

void Environment::watch_all() {
  EventLoop& loop = context_.loop;
  const auto& listeners = sandbox_.listeners;
  loop.watch(listeners[kRuntimeApiListener].get(), EPOLLIN,
             [this](std::uint32_t) { accept_connections(); });
  loop.watch(listeners[kDatabaseListener].get(), EPOLLIN,
             [this](std::uint32_t) { accept_database(); });
  loop.watch(listeners[kTraceSocket].get(), EPOLLIN, [this](std::uint32_t) { read_traces(); });
  loop.watch(listeners[kNameSocket].get(), EPOLLIN, [this](std::uint32_t) { answer_names(); });
  loop.watch(sandbox_.log.get(), EPOLLIN, [this](std::uint32_t) { read_log(); });
  loop.watch(sandbox_.control.get(), EPOLLIN, [this](std::uint32_t) { on_control(); });
  log_open_ = true;
}

void Environment::start_timer(nanoseconds limit, void (Environment::*handler)()) {
  stop_timer();
  timer_ = context_.loop.after(limit, [this, handler] {
    timer_ = 0;
    (this->*handler)();
  });
}

void Environment::stop_timer() {
  if (timer_ != 0) context_.loop.cancel(std::exchange(timer_, 0));
}

std::string Environment::phase() const {
  if (kind_ == EnvironmentKind::kTemplate) return "snap-start";
  return init_under_invoke_ ? "invoke" : "init";
}

std::string Environment::origin() const {
  return "function " + version_->spec.name + " version " + version_->version;
}

void Environment::accept_template() {
  stop_timer();
  preparation_ = steady_clock::now() - phase_began_;
  read_log();
  log_.append_platform(version_->log.init_report(phase(), preparation_, PhaseStatus::kSuccess, ""));
  ::send(sandbox_.control.get(), "y", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
  state_ = State::kParked;
  // Clone commands are given by workers, which read the answers; its death is still seen.
  context_.loop.unwatch(sandbox_.control.get());
}

void Environment::dismiss_template() {
  // Not closed: a worker may be reading from it.
  if (sandbox_.control) ::shutdown(sandbox_.control.get(), SHUT_RDWR);
}

/// The runtime asks for work.
void Environment::become_ready() {
  const State before = state_;
  state_ = State::kIdle;
  idle_since_ = steady_clock::now();
  if (before == State::kResponded) stop_timer();
  if (before == State::kInit) {
    preparation_ = idle_since_ - phase_began_;
    if (!init_under_invoke_) stop_timer();
  } else if (before == State::kRestoring) {
    stop_timer();
    preparation_ = hooks_ = idle_since_ - phase_began_;
    read_log();
    log_.append_platform(version_->log.restore_report(preparation_, PhaseStatus::kSuccess, ""));
  }
  if (invocation_) {
    serve();
  } else {
    owner_.environment_ready(*this);
  }
}

void Environment::invoke(std::unique_ptr<Invocation> invocation) {
  CHECK(state_ == State::kIdle && waiting_ != nullptr, "invoke of an environment that is not idle");
  invocation_ = std::move(invocation);
  invoke_began_ = steady_clock::now();
  invoke_began_wall_ = base::system_clock().now();
  log_.begin_tail(invocation_->request_id);
  log_.append_platform(version_->log.start(invocation_->request_id, invocation_->trace.header));
  start_timer(version_->spec.timeout, &Environment::on_invoke_timeout);
  serve();
}

void Environment::serve() {
  state_ = State::kBusy;
  send_event(*std::exchange(waiting_, nullptr));
}

void Environment::finish(PhaseStatus status, std::string_view error_type, std::string payload,
                         std::string function_error, std::string reason) {
  stop_timer();
  const auto ended = steady_clock::now();
  read_log();
  if (memory_bytes_max_ == 0) memory_bytes_max_ = resident_bytes(sandbox_.pid);
  InvokeReport report;
  report.request_id = invocation_->request_id;
  report.status = status;
  report.error_type = error_type;
  report.duration = ended - invoke_began_;
  report.memory_size_mb = version_->spec.memory_size_mb;
  report.memory_used_mb_max = static_cast<int>(std::max<std::int64_t>(memory_bytes_max_ >> 20, 1));
  if (!preparation_reported_ && kind_ == EnvironmentKind::kClone) {
    report.restore_duration = preparation_;
    report.billed_restore_duration = hooks_;
  } else if (!preparation_reported_ && !init_under_invoke_) {
    report.init_duration = preparation_;
  }
  if (invocation_->trace.sampled) {
    report.trace_id = invocation_->trace.root;
    report.segment_id = invocation_->trace.function_id;
  }
  log_.flush_partial();
  log_.append_platform(version_->log.end(invocation_->request_id));
  log_.append_platform(version_->log.report(report));
  emit_trace(!function_error.empty(), payload);
  preparation_reported_ = true;

  InvokeResult result;
  result.outcome = function_error.empty() ? InvokeOutcome::kOk : InvokeOutcome::kFunctionError;
  result.payload = std::move(payload);
  result.function_error = std::move(function_error);
  result.request_id = invocation_->request_id;
  result.executed_version = version_->version;
  result.reason = std::move(reason);
  result.log_tail = log_.take_tail();
  if (state_ == State::kResponded) {
    responded_at_ = ended;
    start_timer(version_->spec.timeout, &Environment::on_next_overdue);
  }
  const auto invocation = std::exchange(invocation_, nullptr);
  invocation->done(std::move(result));
}

void Environment::emit_trace(bool fault, std::string_view payload) {
  const InvokeTrace& trace = invocation_->trace;
  if (!trace.sampled) return;
  TraceFacts facts;
  facts.function = version_->spec.name;
  facts.function_arn = version_->function_arn;
  facts.request_id = invocation_->request_id;
  facts.account = context_.options.account;
  facts.requested = invocation_->requested;
  facts.started = invoke_began_wall_;
  facts.ended = base::system_clock().now();
  if (!preparation_reported_ && preparation_.count() > 0) facts.preparation = preparation_;
  facts.restored = kind_ == EnvironmentKind::kClone;
  facts.fault = fault;
  facts.error_payload = payload;
  context_.options.sink->segment(service_segment(trace, facts));
  context_.options.sink->segment(function_segment(trace, facts));
}

void Environment::on_invoke_timeout() {
  const std::string message = timeout_message(invocation_->request_id, version_->spec.timeout);
  read_log();
  log_.flush_partial();
  if (version_->spec.log_format == LogFormat::kText) {
    log_.append_platform(iso_time(base::system_clock().now()) + " " + invocation_->request_id +
                         " Task timed out after " + std::to_string(version_->spec.timeout.count()) +
                         ".00 seconds");
  }
  finish(PhaseStatus::kTimeout, "", error_payload("Sandbox.Timedout", message), "Unhandled",
         "the function did not answer within its timeout");
  end();
}

/// The invoke is over for its caller, but the runtime never came back for more.
void Environment::on_next_overdue() { end(); }

void Environment::on_start_timeout() {
  StartFailure failure;
  failure.status = PhaseStatus::kTimeout;
  failure.error_type = "Sandbox.Timedout";
  if (kind_ == EnvironmentKind::kClone) {
    failure.payload =
        error_payload("SnapStartTimeoutException",
                      "Lambda couldn't restore the snapshot within the timeout limit.");
  }
  failure.retry = true;
  failure.reason = kind_ == EnvironmentKind::kClone ? "the restore took more than 10 s"
                                                    : "INIT took longer than it may";
  fail_start(std::move(failure));
}

void Environment::on_exit(int wait_status, std::string reason) {
  if (state_ == State::kEnding) return;
  if (reason.empty() && cgroup_.was_out_of_memory()) {
    reason = "the kernel ended it for want of memory";
  }
  if (invocation_) {
    finish(PhaseStatus::kError, "Runtime.ExitError",
           error_payload("Runtime.ExitError", exit_message(invocation_->request_id, wait_status)),
           "Unhandled", std::move(reason));
  } else if (state_ == State::kInit || state_ == State::kRestoring) {
    StartFailure failure;
    failure.error_type = "Runtime.ExitError";
    failure.wait_status = wait_status;
    failure.retry = true;
    failure.reason = std::move(reason);
    fail_start(std::move(failure));
    return;
  }
  end();
}

void Environment::fail_start(StartFailure failure) {
  if (state_ == State::kEnding) return;
  read_log();
  log_.flush_partial();
  const auto duration = steady_clock::now() - phase_began_;
  if (state_ == State::kRestoring) {
    log_.append_platform(
        version_->log.restore_report(duration, failure.status, failure.error_type));
  } else {
    log_.append_platform(
        version_->log.init_report(phase(), duration, failure.status, failure.error_type));
  }
  if (invocation_) {
    std::string payload = failure.payload;
    if (payload.empty()) {
      payload = error_payload(
          failure.error_type,
          failure.wait_status >= 0
              ? exit_message(invocation_->request_id, failure.wait_status)
              : "RequestId: " + invocation_->request_id + " Error: " + failure.message);
    }
    finish(failure.status, failure.error_type, std::move(payload), "Unhandled",
           std::move(failure.reason));
    end();
    return;
  }
  preparation_ = duration;
  end();
  owner_.environment_failed(*this, std::move(failure));
}

void Environment::check_memory() {
  if (state_ == State::kEnding || !sandbox_.pidfd) return;
  const std::int64_t limit = static_cast<std::int64_t>(version_->spec.memory_size_mb) << 20;
  std::int64_t used = resident_bytes(sandbox_.pid);
  if (used > limit) used = proportional_bytes(sandbox_.pid);
  memory_bytes_max_ = std::max(memory_bytes_max_, used);
  if (used <= limit) return;
  on_exit(SIGKILL, "it used " + std::to_string(used >> 20) + " MB of its " +
                       std::to_string(version_->spec.memory_size_mb) + " MB of memory");
}

void Environment::end() {
  if (state_ == State::kEnding) return;
  if (invocation_) {
    finish(PhaseStatus::kError, "Sandbox.Failure",
           error_payload("Sandbox.Failure",
                         "RequestId: " + invocation_->request_id + " Error: Sandbox.Failure"),
           "Unhandled", "the environment was ended from outside");
  }
  state_ = State::kEnding;
  stop_timer();
  waiting_ = nullptr;
  if (watched_) {
    EventLoop& loop = context_.loop;
    if (log_open_) {
      read_log();
      log_.flush_partial();
    }
    for (const Connection& connection : connections_) {
      if (connection.fd) loop.unwatch(connection.fd.get());
    }
    for (const auto& listener : sandbox_.listeners) loop.unwatch(listener.get());
    loop.unwatch(sandbox_.log.get());
    loop.unwatch(sandbox_.control.get());
    loop.unwatch(sandbox_.pidfd.get());
    watched_ = false;
  }
  owner_.environment_lost(*this);
  context_.workers.run([this] {
    end_sandbox(sandbox_);
    cgroup_.remove();
    context_.loop.post([this] { owner_.environment_gone(*this); });
  });
}

}  // namespace zorya::function_host
