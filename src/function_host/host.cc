#include "function_host/host.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/workers.h"
#include "function_host/cgroup.h"
#include "function_host/event_loop.h"
#include "function_host/pool.h"
#include "function_host/publisher.h"
#include "function_host/runtimes.h"
#include "function_host/sandbox.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

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

/// The launcher as workers see it: what they run ends when the host does, in the middle of an
/// install of packages too.
class StoppableLauncher final : public base::Launcher {
 public:
  StoppableLauncher(base::Launcher& launcher, base::UniqueFd stop)
      : launcher_(launcher), stop_(std::move(stop)) {}

  void stop() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(stop_.get(), &one, sizeof one);
  }
  Result<base::Child> start(base::ChildSpec spec) override {
    return launcher_.start(std::move(spec));
  }
  Result<base::CommandResult> run(base::ChildSpec spec, milliseconds timeout) override {
    spec.stop_fd = stop_.get();
    return launcher_.run(std::move(spec), timeout);
  }
  void run_on_thread(const std::function<void()>& function) override {
    launcher_.run_on_thread(function);
  }

 private:
  base::Launcher& launcher_;
  base::UniqueFd stop_;  // an event: readable for ever once stop() was called
};

using PublishDone = std::function<void(Result<VersionInfo>)>;

class Host final : public FunctionHost {
 public:
  Host(Options options, std::unique_ptr<StoppableLauncher> launcher,
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

  ~Host() override;

  void publish(FunctionSpec spec, PublishDone done) override {
    loop_->post([this, spec = std::move(spec), done = std::move(done)]() mutable {
      enqueue_publish(std::move(spec), std::move(done));
    });
  }
  void remove(std::string function, std::function<void()> done) override {
    loop_->post([this, function = std::move(function), done = std::move(done)] {
      remove_now(function);
      done();
    });
  }
  void invoke(InvokeRequest request, std::function<void(InvokeResult)> done) override {
    loop_->post([this, request = std::move(request), done = std::move(done)]() mutable {
      invoke_now(std::move(request), std::move(done));
    });
  }
  HostStatus status() const override;

 private:
  struct Publish {
    FunctionSpec spec;
    PublishDone done;
  };
  struct Function {
    VersionPool* current = nullptr;
    VersionInfo info;  // of the current version, or of the one that failed before there was any
    std::deque<Publish> publishes;
    bool publishing = false;
    bool removed = false;
  };

  HostContext context() { return {*loop_, *workers_, maker_, options_, cgroups_.get()}; }
  void enqueue_publish(FunctionSpec spec, PublishDone done);
  void next_publish(const std::string& name);
  void on_prepared(const std::string& name, Result<std::shared_ptr<Version>> version);
  void on_template(const std::string& name, VersionPool* pool,
                   const VersionPool::TemplateResult& result);
  void activate(const std::string& name, VersionPool* pool, VersionInfo info);
  void fail_publish(const std::string& name, VersionInfo info, Error error);
  void end_publish(const std::string& name, Result<VersionInfo> result);
  void remove_now(const std::string& function);
  void invoke_now(InvokeRequest request, std::function<void(InvokeResult)> done);
  VersionPool* new_pool(std::shared_ptr<const Version> version);
  bool make_room();
  void poll_memory_later();
  void reap_later();
  void refresh_status();
  void stop_on_loop();

  Options options_;
  std::unique_ptr<StoppableLauncher> launcher_;
  std::unique_ptr<EventLoop> loop_;
  SandboxMaker maker_;
  std::unique_ptr<Runtimes> runtimes_;
  std::unique_ptr<Cgroups> cgroups_;
  Publisher publisher_;
  Capacity capacity_;
  std::map<std::string, Function> functions_;
  std::map<VersionPool*, std::unique_ptr<VersionPool>> pools_;
  bool polling_memory_ = false;
  bool stopping_ = false;

  mutable std::mutex status_mutex_;
  HostStatus status_;  // guarded

  std::mutex stopped_mutex_;
  std::condition_variable stopped_wake_;
  bool stopped_ = false;  // guarded by stopped_mutex_

  // Last members: their threads use all of the above.
  std::unique_ptr<base::Workers> workers_;
  std::unique_ptr<base::Workers> publish_worker_;
  std::thread thread_;
};

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

// ---- publish ----

void Host::enqueue_publish(FunctionSpec spec, PublishDone done) {
  const std::string name = spec.name;
  if (stopping_) {
    done(Error{Code::kUnavailable, "publish " + name + ": the host is stopping", ""});
    return;
  }
  Function& function = functions_[name];
  function.removed = false;
  function.publishes.push_back({std::move(spec), std::move(done)});
  next_publish(name);
}

void Host::next_publish(const std::string& name) {
  Function& function = functions_[name];
  if (function.publishing || function.publishes.empty() || stopping_) return;
  function.publishing = true;
  if (function.current == nullptr) {
    function.info = {.function = name,
                     .version = {},
                     .state = VersionState::kPending,
                     .state_reason_code = "Creating",
                     .state_reason = "The function is being created.",
                     .restore_path = {},
                     .restore_reason = {},
                     .init_duration = {}};
    refresh_status();
  }
  publish_worker_->run([this, name, spec = function.publishes.front().spec] {
    auto version = std::make_shared<Result<std::shared_ptr<Version>>>(publisher_.prepare(spec));
    loop_->post([this, name, version] { on_prepared(name, std::move(*version)); });
  });
}

void Host::on_prepared(const std::string& name, Result<std::shared_ptr<Version>> version) {
  Function& function = functions_[name];
  if (function.publishes.empty()) {  // the host is stopping, and has said so
    function.publishing = false;
    return;
  }
  VersionInfo info;
  info.function = name;
  if (!version) {
    info.state = VersionState::kFailed;
    info.state_reason_code = "InvalidRuntime";
    info.state_reason = version.error().message;
    return fail_publish(name, std::move(info), std::move(version).error());
  }
  const FunctionSpec& spec = (*version)->spec;
  VersionPool* pool = new_pool(*version);
  info.version = (*version)->version;
  info.restore_path = "cold";
  if (spec.snap_start != SnapStart::kNone) {
    if (!(*version)->snap_start) {
      info.restore_reason = "SnapStart acts on published versions only: set AutoPublishAlias";
    } else if (!(*version)->image.can_clone) {
      info.restore_reason = "the runtime " + spec.runtime + " cannot be cloned";
    } else {
      poll_memory_later();
      pool->start_template([this, name, pool](const VersionPool::TemplateResult& result) {
        on_template(name, pool, result);
      });
      poll_memory_later();
      return;
    }
  }
  activate(name, pool, std::move(info));
}

void Host::on_template(const std::string& name, VersionPool* pool,
                       const VersionPool::TemplateResult& result) {
  VersionInfo info;
  info.function = name;
  info.version = pool->version().version;
  info.init_duration = std::chrono::duration_cast<milliseconds>(result.init_duration);
  info.restore_path = result.cloned ? "clone" : "cold";
  info.restore_reason = result.reason;
  if (stopping_) return;
  if (!result.failed) {
    if (!result.cloned) {
      base::log(base::LogLevel::kWarning, "function_host",
                "function " + name + " version " + info.version +
                    " starts cold instead of from its snapshot: " + result.reason);
    }
    return activate(name, pool, std::move(info));
  }
  info.state = VersionState::kFailed;
  info.state_reason_code = result.failure.status == PhaseStatus::kTimeout
                               ? "FunctionError.InitTimeout"
                               : "FunctionError.RuntimeInitError";
  info.state_reason = result.reason.empty() ? result.failure.error_type : result.reason;
  if (result.failure.wait_status >= 0 && result.reason.empty()) {
    info.state_reason = exit_message("", result.failure.wait_status).substr(11);
  }
  const std::string text = "publish " + name + " version " + info.version + ": " +
                           info.state_reason_code + ": " + info.state_reason;
  pool->retire();
  fail_publish(name, std::move(info), Error{Code::kFailedPrecondition, text, ""});
}

void Host::activate(const std::string& name, VersionPool* pool, VersionInfo info) {
  Function& function = functions_[name];
  info.state = VersionState::kActive;
  VersionPool* old = std::exchange(function.current, pool);
  function.info = info;
  if (old != nullptr) old->retire();
  publish_worker_->run(
      [this, name, code = pool->version().code] { publisher_.remove_old(name, code); });
  if (function.removed) remove_now(name);
  refresh_status();
  end_publish(name, std::move(info));
}

void Host::fail_publish(const std::string& name, VersionInfo info, Error error) {
  Function& function = functions_[name];
  if (function.current == nullptr) function.info = std::move(info);
  refresh_status();
  end_publish(name, std::move(error));
}

void Host::end_publish(const std::string& name, Result<VersionInfo> result) {
  Function& function = functions_[name];
  function.publishing = false;
  if (function.publishes.empty()) return;
  const PublishDone done = std::move(function.publishes.front().done);
  function.publishes.pop_front();
  done(std::move(result));
  next_publish(name);
}

VersionPool* Host::new_pool(std::shared_ptr<const Version> version) {
  VersionPool::Callbacks callbacks;
  callbacks.make_room = [this] { return make_room(); };
  callbacks.empty = [this](VersionPool& pool) {
    pools_.erase(&pool);
    if (!stopping_ || !pools_.empty()) return;
    const std::lock_guard lock(stopped_mutex_);
    stopped_ = true;
    stopped_wake_.notify_all();
  };
  auto pool =
      std::make_unique<VersionPool>(context(), std::move(version), capacity_, std::move(callbacks));
  VersionPool* raw = pool.get();
  pools_.emplace(raw, std::move(pool));
  return raw;
}

void Host::remove_now(const std::string& name) {
  const auto found = functions_.find(name);
  if (found == functions_.end()) return;
  Function& function = found->second;
  if (function.current != nullptr) std::exchange(function.current, nullptr)->retire();
  if (function.publishing) {
    function.removed = true;  // and is taken down again as soon as it stands
  } else {
    functions_.erase(found);
  }
  refresh_status();
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
