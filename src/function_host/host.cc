#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "function_host/host_loop.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace zorya::function_host {
namespace {

using base::Code;
using base::Error;
using base::Result;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kPayloadBytesMax = std::size_t{6} * 1024 * 1024;
constexpr milliseconds kMemoryPollInterval{50};
constexpr seconds kReapInterval{5};
constexpr std::size_t kSandboxWorkerCount = 3;

/// Each environment holds about ten descriptors here.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Starts the smallest sandbox there is, to learn now whether this machine allows any.
Result<void> try_sandbox(const SandboxMaker& maker) {
  SandboxSpec spec;
  spec.argv = {"/tinit"};
  spec.map_uid = ::geteuid() == 0 ? 1'000'000'000U : ::geteuid();
  spec.map_gid = ::geteuid() == 0 ? 1'000'000'000U : ::getegid();
  spec.tmp_mb = 1;
  auto sandbox = maker.start(spec, {});
  if (!sandbox) {
    Error error = sandbox.error().with_context("this machine cannot isolate functions");
    error.hint =
        "functions need user namespaces: sysctl user.max_user_namespaces, "
        "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns; "
        "containers need an unmasked /proc";
    return error;
  }
  end_sandbox(*sandbox);
  return {};
}

}  // namespace

Host::Host(Options options, std::unique_ptr<StoppableLauncher> launcher,
           std::unique_ptr<EventLoop> loop, SandboxMaker maker, std::unique_ptr<Runtimes> runtimes,
           std::unique_ptr<Cgroups> cgroups)
    : options_(std::move(options)),
      launcher_(std::move(launcher)),
      loop_(std::move(loop)),
      maker_(std::move(maker)),
      runtimes_(std::move(runtimes)),
      cgroups_(std::move(cgroups)),
      publisher_(options_, *runtimes_),
      capacity_(options_.concurrency_max),
      workers_(std::make_unique<base::Workers>(kSandboxWorkerCount)),
      publish_worker_(std::make_unique<base::Workers>(1)) {
  thread_ = std::thread([this] { loop_->run(); });
  loop_->post([this] { reap_later(); });
}

Host::~Host() {
  launcher_->stop();
  loop_->post([this] { stop_on_loop(); });
  {
    std::unique_lock lock(stopped_mutex_);
    stopped_wake_.wait(lock, [this] { return stopped_; });
  }
  publish_worker_.reset();
  workers_.reset();
  loop_->stop();
  thread_.join();
}

void Host::stop_on_loop() {
  stopping_ = true;
  for (auto& [name, function] : functions_) {
    for (Publish& publish : std::exchange(function.publishes, {})) {
      publish.done(Error{Code::kUnavailable, "publish " + name + ": the host is stopping", ""});
    }
  }
  if (pools_.empty()) {
    const std::lock_guard lock(stopped_mutex_);
    stopped_ = true;
    stopped_wake_.notify_all();
    return;
  }
  for (auto& [pool, owned] : pools_) pool->shut_down();
}

void Host::publish(FunctionSpec spec, PublishDone done) {
  loop_->post([this, spec = std::move(spec), done = std::move(done)]() mutable {
    enqueue_publish(std::move(spec), std::move(done));
  });
}

void Host::remove(std::string function, std::function<void()> done) {
  loop_->post([this, function = std::move(function), done = std::move(done)] {
    remove_now(function);
    done();
  });
}

void Host::invoke(InvokeRequest request, std::function<void(InvokeResult)> done) {
  loop_->post([this, request = std::move(request), done = std::move(done)]() mutable {
    invoke_now(std::move(request), std::move(done));
  });
}

// ---- invoke ----

void Host::invoke_now(InvokeRequest request, std::function<void(InvokeResult)> done) {
  InvokeResult refused;
  refused.request_id = base::random_uuid();
  const auto found = functions_.find(request.function);
  if (found == functions_.end() || found->second.removed) {
    refused.outcome = InvokeOutcome::kNotFound;
    refused.reason = "no function " + request.function;
  } else if (request.payload.size() > kPayloadBytesMax) {
    refused.outcome = InvokeOutcome::kTooLarge;
    refused.reason = "the request payload is over 6 MB";
  } else if (found->second.current == nullptr || stopping_) {
    const VersionInfo& info = found->second.info;
    refused.outcome = InvokeOutcome::kNotReady;
    refused.reason = info.state == VersionState::kFailed
                         ? "version " + info.version + " Failed: " + info.state_reason_code + ": " +
                               info.state_reason
                         : "version " + info.version + " is Pending";
  } else {
    VersionPool& pool = *found->second.current;
    auto invocation = std::make_unique<Invocation>();
    invocation->request = std::move(request);
    if (invocation->request.payload.empty()) invocation->request.payload = "{}";
    invocation->done = std::move(done);
    invocation->request_id = std::move(refused.request_id);
    invocation->requested = base::system_clock().now();
    invocation->trace =
        begin_trace(invocation->request.trace_header, pool.version().spec.tracing_active);
    pool.invoke(std::move(invocation));
    poll_memory_later();
    return;
  }
  done(std::move(refused));
}

bool Host::make_room() {
  return std::any_of(pools_.begin(), pools_.end(),
                     [](const auto& entry) { return entry.first->end_one_idle(); });
}

// ---- care ----

/// Runs while anything runs: an idle host wakes for nothing.
void Host::poll_memory_later() {
  if (polling_memory_) return;
  polling_memory_ = true;
  loop_->after(kMemoryPollInterval, [this] {
    polling_memory_ = false;
    bool active = false;
    for (auto& [pool, owned] : pools_) {
      pool->check_memory();
      active = active || pool->is_active();
    }
    if (active) poll_memory_later();
  });
}

void Host::reap_later() {
  loop_->after(kReapInterval, [this] {
    if (stopping_) return;
    for (auto& [pool, owned] : pools_) {
      pool->reap(std::chrono::steady_clock::now() - options_.idle_time);
    }
    reap_later();
  });
}

void Host::refresh_status() {
  HostStatus status;
  status.cgroups = cgroups_ != nullptr;
  status.isolation = cgroups_ != nullptr ? "L3" : "L2";
  for (const auto& [name, function] : functions_) status.versions.push_back(function.info);
  const std::lock_guard lock(status_mutex_);
  status_ = std::move(status);
}

HostStatus Host::status() const {
  HostStatus status;
  {
    const std::lock_guard lock(status_mutex_);
    status = status_;
  }
  // The counts belong to the loop's thread: ask it, but not for ever.
  struct Counts {
    std::mutex mutex;
    std::condition_variable wake;
    bool ready = false;
    int idle = 0;
    int busy = 0;
    int parked = 0;
  };
  auto counts = std::make_shared<Counts>();
  loop_->post([this, counts] {
    const std::lock_guard lock(counts->mutex);
    for (const auto& [pool, owned] : pools_) {
      counts->idle += pool->idle_count();
      counts->busy += pool->busy_count();
      counts->parked += pool->parked_count();
    }
    counts->ready = true;
    counts->wake.notify_all();
  });
  std::unique_lock lock(counts->mutex);
  if (std::this_thread::get_id() != thread_.get_id()) {
    counts->wake.wait_for(lock, seconds(2), [&] { return counts->ready; });
  }
  status.environments_idle = counts->idle;
  status.environments_busy = counts->busy;
  status.environments_parked = counts->parked;
  return status;
}

Result<std::unique_ptr<FunctionHost>> make_host(Options options) {
  raise_descriptor_limit();
  ZORYA_ASSIGN(auto loop, EventLoop::create());
  ZORYA_ASSIGN(SandboxMaker maker, SandboxMaker::create(*options.launcher, options.library_folder));
  ZORYA_TRY(try_sandbox(maker));
  base::UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return base::errno_error("function host: eventfd", errno);
  auto launcher = std::make_unique<StoppableLauncher>(*options.launcher, std::move(stop));
  Runtimes::Options runtime_options;
  runtime_options.data_folder = options.data_folder;
  runtime_options.library_folder = options.library_folder;
  runtime_options.launcher = launcher.get();
  runtime_options.interpreters = options.interpreters;
  runtime_options.nearest_runtime = options.nearest_runtime;
  ZORYA_ASSIGN(auto runtimes, make_runtimes(std::move(runtime_options)));
  auto cgroups =
      options.cgroups == CgroupMode::kAuto && ::geteuid() == 0 ? Cgroups::open() : nullptr;
  if (!options.credentials) {
    options.credentials = [](const std::string&) { return Credentials{}; };
  }
  return std::unique_ptr<FunctionHost>(
      std::make_unique<Host>(std::move(options), std::move(launcher), std::move(loop),
                             std::move(maker), std::move(runtimes), std::move(cgroups)));
}

}  // namespace zorya::function_host
