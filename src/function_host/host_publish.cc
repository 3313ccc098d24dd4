// Publishing: one version of a function after the other, from its code to the pool that serves it.
#include "base/log.h"
#include "function_host/host_loop.h"

#include <chrono>
#include <utility>

namespace zorya::function_host {

using base::Code;
using base::Error;
using base::Result;
using std::chrono::milliseconds;

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

}  // namespace zorya::function_host
