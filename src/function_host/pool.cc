#include "function_host/pool.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "function_host/launch_plan.h"
#include "function_host/lint.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace zorya::function_host {
namespace {

using base::Result;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds kInitLimit{10};
constexpr seconds kTemplateInitLimit{130};
constexpr std::chrono::milliseconds kReturnGrace{5};
constexpr int kCloneFailuresMax = 3;
constexpr int kTemplateLossesMax = 3;
constexpr int kKernelMemoryMb = 32;  // page tables and such, on top of what the host polls
constexpr int kCgroupProcessCountMax = static_cast<int>(kProcessCountMax) + 8;

std::string next_cgroup_name() {
  static std::atomic<unsigned> next{0};
  return "environment-" + std::to_string(next++);
}

/// Results that own descriptors, through std::function, which wants to copy.
template <typename T>
std::shared_ptr<T> share(T value) {
  return std::make_shared<T>(std::move(value));
}

}  // namespace

VersionPool::VersionPool(const HostContext& context, std::shared_ptr<const Version> version,
                         Capacity& capacity, Callbacks callbacks)
    : context_(context),
      version_(std::move(version)),
      capacity_(capacity),
      callbacks_(std::move(callbacks)) {}

VersionPool::~VersionPool() {
  CHECK(all_.empty() && pending_ == 0 && waiting_.empty(), "a pool was destroyed while in use");
}

Result<Cgroup> VersionPool::make_cgroup() const {
  if (context_.cgroups == nullptr) return Cgroup();
  const FunctionSpec& spec = version_->spec;
  return context_.cgroups->make(next_cgroup_name(),
                                spec.memory_size_mb + spec.ephemeral_storage_mb + kKernelMemoryMb,
                                kCgroupProcessCountMax);
}

/// On a worker: a sandbox in a control group of its own, or why there is none; shared, for a
/// std::function must carry it to the loop.
template <typename Start>
std::shared_ptr<VersionPool::Started> VersionPool::start_in_cgroup(const Start& start) const {
  auto cgroup = make_cgroup();
  if (!cgroup) return std::make_shared<Started>(Started{cgroup.error(), Cgroup()});
  auto sandbox = start([&](pid_t pid) { return cgroup->place(pid); });
  if (!sandbox) cgroup->remove();
  return std::make_shared<Started>(Started{std::move(sandbox), std::move(*cgroup)});
}

void VersionPool::invoke(std::unique_ptr<Invocation> invocation) {
  if (!idle_.empty()) {
    Environment* environment = idle_.back();
    idle_.pop_back();
    environment->invoke(std::move(invocation));
    return;
  }
  waiting_.push_back(std::move(invocation));
  pump();
}

std::size_t VersionPool::returning_count() const {
  const auto since = std::chrono::steady_clock::now() - kReturnGrace;
  return static_cast<std::size_t>(
      std::count_if(counted_.begin(), counted_.end(), [since](const Environment* environment) {
        return environment->state() == Environment::State::kResponded &&
               environment->responded_at() > since;
      }));
}

/// Starts what is missing for those who wait, and keeps clones parked ahead of demand.
void VersionPool::pump() {
  const auto under_way = [this] {
    return starting_.size() + static_cast<std::size_t>(starting_cold_);
  };
  const std::size_t returning = waiting_.empty() ? 0 : returning_count();
  if (returning > 0 && !std::exchange(pump_again_, true)) {
    ++pending_;
    context_.loop.after(kReturnGrace, [this] {
      --pending_;
      pump_again_ = false;
      pump();
      check_empty();
    });
  }
  while (waiting_.size() > under_way() + returning) {
    if (clones_ && parked_.empty()) break;  // make_clone below comes back here
    if (!capacity_.take() && !(callbacks_.make_room() && capacity_.take())) {
      auto last = std::move(waiting_.back());
      waiting_.pop_back();
      answer_throttled(std::move(last));
      continue;
    }
    if (!clones_) {
      start_cold(nullptr);
      continue;
    }
    Environment* clone = parked_.back();
    parked_.pop_back();
    counted_.insert(clone);
    starting_.insert(clone);
    clone->restore();
  }
  const std::size_t served = under_way() + returning;
  const std::size_t missing = waiting_.size() > served ? waiting_.size() - served : 0;
  const auto ahead = static_cast<std::size_t>(retiring_ ? 0 : context_.options.parked_ahead);
  if (clones_ && !cloning_ && parked_.size() < ahead + missing) make_clone();
}

// ---- cold starts ----

/// The caller has taken a place of the capacity. `bound`: INIT runs again under this invoke.
void VersionPool::start_cold(std::unique_ptr<Invocation> bound) {
  ++pending_;
  if (!bound) ++starting_cold_;
  const Credentials credentials =
      version_->snap_start ? Credentials{} : context_.options.credentials(version_->spec.role_arn);
  auto environment =
      std::make_unique<Environment>(context_, version_, *this, EnvironmentKind::kOnDemand);
  SandboxSpec spec =
      plan_sandbox(*version_, context_.options, credentials, environment->stream(), false);
  auto shared_environment = share(std::move(environment));
  auto shared_bound = share(std::move(bound));
  context_.workers.run(
      [this, spec = std::move(spec), credentials, shared_environment, shared_bound] {
        const auto started = start_in_cgroup(
            [&](const PlaceSandbox& place) { return context_.maker.start(spec, place); });
        context_.loop.post([this, started, credentials, shared_environment, shared_bound] {
          on_cold_started(std::move(*started), credentials, std::move(*shared_environment),
                          std::move(*shared_bound));
        });
      });
}

void VersionPool::on_cold_started(Started result, const Credentials& credentials,
                                  std::unique_ptr<Environment> environment,
                                  std::unique_ptr<Invocation> bound) {
  --pending_;
  if (!bound) --starting_cold_;
  if (!result.sandbox) {
    const base::Error& error = result.sandbox.error();
    capacity_.give_back();
    base::log(base::LogLevel::kError, "function_host",
              "function " + version_->spec.name + ": " + base::to_string(error));
    StartFailure failure;
    failure.error_type = "Sandbox.Failure";
    failure.message = "Sandbox.Failure";
    failure.reason = error.message;
    if (!bound && !waiting_.empty()) {
      bound = std::move(waiting_.front());
      waiting_.pop_front();
    }
    if (bound) answer_failure(std::move(bound), failure);
    check_empty();
    return;
  }
  Environment& started = *environment;
  all_.emplace(&started, std::move(environment));
  counted_.insert(&started);
  if (credentials.expires != std::chrono::system_clock::time_point{}) {
    started.set_credentials_expire(credentials.expires);
  }
  if (bound) {
    started.begin_init_for(std::move(bound));
  } else {
    starting_.insert(&started);
  }
  started.begin_init(std::move(*result.sandbox), std::move(result.cgroup),
                     version_->snap_start
                         ? std::max<nanoseconds>(kTemplateInitLimit, version_->spec.timeout)
                         : nanoseconds(kInitLimit));
  if (stopping_) started.end();
}

// ---- templates and clones ----

void VersionPool::start_template(std::function<void(TemplateResult)> done) {
  template_done_ = std::move(done);
  template_busy_ = true;
  ++pending_;
  SandboxSpec spec = plan_sandbox(*version_, context_.options, {}, "", true);
  context_.workers.run([this, spec = std::move(spec)] {
    const auto started = start_in_cgroup(
        [&](const PlaceSandbox& place) { return context_.maker.start(spec, place); });
    context_.loop.post([this, started] {
      --pending_;
      if (!started->sandbox) {
        finish_template({.reason = started->sandbox.error().message});
        return;
      }
      template_ =
          std::make_shared<Environment>(context_, version_, *this, EnvironmentKind::kTemplate);
      all_.emplace(template_.get(), template_);
      template_->begin_init(std::move(*started->sandbox), std::move(started->cgroup),
                            std::max<nanoseconds>(kTemplateInitLimit, version_->spec.timeout));
      if (stopping_) template_->end();
    });
  });
}

void VersionPool::template_ready(Environment& environment, pid_t runtime_pid) {
  const TemplateFindings findings = inspect_template(runtime_pid);
  if (!findings.refusal.empty()) {
    environment.end();
    return finish_template({.reason = findings.refusal});
  }
  tmp_mode_ = findings.tmp_mode;
  environment.accept_template();
  template_init_ = environment.init_duration();
  clones_ = true;
  make_clone();  // the first one shows whether it works here
}

void VersionPool::finish_template(TemplateResult result) {
  template_busy_ = false;
  if (!result.cloned) stop_cloning();
  if (auto done = std::exchange(template_done_, nullptr)) {
    result.init_duration = template_init_;
    done(std::move(result));
  }
  check_empty();
}

/// The template makes no more clones. Those that serve go on: they live in namespaces below its pid
/// 1, which stays until the last of them is gone.
void VersionPool::stop_cloning() {
  clones_ = false;
  const std::shared_ptr<Environment> old = std::exchange(template_, nullptr);
  if (!old) return;
  old->dismiss_template();
  end_lone_templates();
}

/// A template that is not the current one and has no clone left has no reason to be.
void VersionPool::end_lone_templates() {
  std::vector<std::shared_ptr<Environment>> templates;
  for (const auto& [environment, owned] : all_) {
    if (environment->kind() != EnvironmentKind::kTemplate) {
      if (environment->kind() == EnvironmentKind::kClone) return;
    } else if (owned != template_ && environment->state() != Environment::State::kEnding) {
      templates.push_back(owned);
    }
  }
  if (cloning_) return;
  for (const auto& environment : templates) environment->end();
}

/// A template that was lost after it had served is made anew, a few times; until it stands, and if
/// it never does, environments start cold.
void VersionPool::lose_template(const std::string& reason) {
  stop_cloning();
  if (retiring_) return;
  const bool again = template_losses_++ < kTemplateLossesMax;
  base::log(base::LogLevel::kWarning, "function_host",
            "function " + version_->spec.name + " version " + version_->version +
                " lost its snapshot (" + reason + ") and starts cold " +
                (again ? "until it is made anew" : "from now on"));
  if (!again || template_busy_) return;
  start_template([name = version_->spec.name](const TemplateResult& result) {
    base::log(base::LogLevel::kInfo, "function_host",
              "function " + name +
                  (result.cloned ? " has its snapshot again"
                                 : " starts cold from now on: " + result.reason));
  });
}

void VersionPool::make_clone() {
  cloning_ = true;
  ++pending_;
  context_.workers.run([this, from = template_, tmp_mode = tmp_mode_] {
    const auto started = start_in_cgroup([&](const PlaceSandbox& place) {
      return context_.maker.clone(from->sandbox(), tmp_mode, version_->spec.ephemeral_storage_mb,
                                  kProcessCountMax, place);
    });
    context_.loop.post([this, started] { on_cloned(std::move(*started)); });
  });
}

void VersionPool::on_cloned(Started started) {
  --pending_;
  cloning_ = false;
  if (!started.sandbox) {
    const std::string& reason = started.sandbox.error().message;
    if (template_done_) return finish_template({.reason = reason});
    if (clones_ && ++clone_failures_ >= kCloneFailuresMax) lose_template(reason);
    end_lone_templates();
    pump();
    return check_empty();
  }
  clone_failures_ = 0;
  auto clone = std::make_shared<Environment>(context_, version_, *this, EnvironmentKind::kClone);
  all_.emplace(clone.get(), clone);
  parked_.push_back(clone.get());
  clone->park(std::move(*started.sandbox), std::move(started.cgroup));
  if (template_done_) finish_template({.cloned = true});
  if (retiring_ && waiting_.empty()) {
    clone->end();
    return;
  }
  pump();
}

// ---- what environments report ----

void VersionPool::environment_ready(Environment& environment) {
  starting_.erase(&environment);
  if (!waiting_.empty()) {
    auto first = std::move(waiting_.front());
    waiting_.pop_front();
    environment.invoke(std::move(first));
    pump();
    return;
  }
  if (retiring_) return environment.end();
  idle_.push_back(&environment);
  if (clones_) pump();
}

void VersionPool::environment_failed(Environment& environment, StartFailure failure) {
  if (environment.kind() == EnvironmentKind::kTemplate) {
    TemplateResult result;
    result.reason = failure.reason;
    // A runtime that does not speak our protocol is no fault of the function: it starts cold.
    result.failed = failure.error_type != "Runtime.Unknown" || !failure.payload.empty();
    result.failure = std::move(failure);
    return finish_template(std::move(result));
  }
  if (waiting_.empty()) return;
  auto first = std::move(waiting_.front());
  waiting_.pop_front();
  const bool retry = failure.retry && environment.kind() == EnvironmentKind::kOnDemand;
  if (retry && capacity_.take()) {
    start_cold(std::move(first));
  } else {
    answer_failure(std::move(first), failure);
  }
  pump();
}

void VersionPool::drop(std::vector<Environment*>& list, Environment& environment) {
  list.erase(std::remove(list.begin(), list.end(), &environment), list.end());
}

void VersionPool::environment_lost(Environment& environment) {
  drop(idle_, environment);
  drop(parked_, environment);
  starting_.erase(&environment);
  if (counted_.erase(&environment) > 0) capacity_.give_back();
  if (&environment == template_.get()) {
    template_.reset();
    if (clones_ && !retiring_ && !template_done_) lose_template("its template has ended");
    clones_ = false;
  }
  // Not from inside the environment's own call: those who wait may need another start.
  ++pending_;
  context_.loop.post([this] {
    --pending_;
    pump();
    check_empty();
  });
}

void VersionPool::environment_gone(Environment& environment) {
  all_.erase(&environment);
  end_lone_templates();
  check_empty();
}

// ---- answers ----

void VersionPool::answer_failure(std::unique_ptr<Invocation> invocation,
                                 const StartFailure& failure) {
  InvokeResult result;
  result.outcome = InvokeOutcome::kFunctionError;
  result.function_error = "Unhandled";
  result.request_id = invocation->request_id;
  result.executed_version = version_->version;
  result.reason = failure.reason;
  result.payload = failure.payload;
  if (result.payload.empty()) {
    const std::string& id = invocation->request_id;
    result.payload =
        error_payload(failure.error_type, failure.wait_status >= 0
                                              ? exit_message(id, failure.wait_status)
                                              : "RequestId: " + id + " Error: " + failure.message);
  }
  invocation->done(std::move(result));
}

void VersionPool::answer_throttled(std::unique_ptr<Invocation> invocation) {
  InvokeResult result;
  result.outcome = InvokeOutcome::kThrottled;
  result.request_id = invocation->request_id;
  result.payload =
      "{\"Type\":\"User\",\"message\":\"Rate Exceeded.\",\"Reason\":"
      "\"ConcurrentInvocationLimitExceeded\"}";
  result.reason = "every environment that this host may have is busy (" +
                  std::to_string(context_.options.concurrency_max) + ")";
  invocation->done(std::move(result));
}

// ---- ends ----

bool VersionPool::end_one_idle() {
  if (idle_.empty()) return false;
  idle_.front()->end();
  return true;
}

void VersionPool::reap(EventLoop::Time since) {
  const auto soon = base::system_clock().now() + version_->spec.timeout + seconds(60);
  const std::vector<Environment*> idle = idle_;
  for (Environment* environment : idle) {
    if (environment->idle_since() < since || environment->credentials_expire() < soon) {
      environment->end();
    }
  }
}

void VersionPool::check_memory() {
  std::vector<std::shared_ptr<Environment>> active;
  for (const auto& [environment, owned] : all_) {
    const auto state = environment->state();
    if (state == Environment::State::kInit || state == Environment::State::kRestoring ||
        state == Environment::State::kBusy || state == Environment::State::kResponded) {
      active.push_back(owned);
    }
  }
  for (const auto& environment : active) environment->check_memory();
}

void VersionPool::retire() {
  retiring_ = true;
  for (Environment* environment : std::vector(idle_)) environment->end();
  if (waiting_.empty()) {
    for (Environment* environment : std::vector(parked_)) environment->end();
  }
  check_empty();
}

void VersionPool::shut_down() {
  retiring_ = stopping_ = true;
  clones_ = false;
  while (!waiting_.empty()) {
    StartFailure failure;
    failure.error_type = "Sandbox.Failure";
    failure.message = "Sandbox.Failure";
    failure.reason = "the host is stopping";
    auto first = std::move(waiting_.front());
    waiting_.pop_front();
    answer_failure(std::move(first), failure);
  }
  std::vector<std::shared_ptr<Environment>> all;
  all.reserve(all_.size());
  for (const auto& [environment, owned] : all_) all.push_back(owned);
  for (const auto& environment : all) environment->end();
  check_empty();
}

void VersionPool::check_empty() {
  if (!retiring_ || pending_ > 0 || !waiting_.empty()) return;
  // A template goes last: clones live in namespaces below its own.
  if (all_.size() == 1 && template_) return std::exchange(template_, nullptr)->end();
  if (!all_.empty() || std::exchange(emptied_, true)) return;
  // Posted, for it destroys us.
  context_.loop.post([this] {
    const auto empty = std::move(callbacks_.empty);
    if (empty) empty(*this);
  });
}

}  // namespace zorya::function_host
