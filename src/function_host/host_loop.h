#pragma once

#include "base/result.h"
#include "base/workers.h"
#include "function_host/cgroup.h"
#include "function_host/event_loop.h"
#include "function_host/host.h"
#include "function_host/pool.h"
#include "function_host/publisher.h"
#include "function_host/runtimes.h"
#include "function_host/sandbox.h"
#include "function_host/stoppable_launcher.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace zorya::function_host {

using PublishDone = std::function<void(base::Result<VersionInfo>)>;

/// The host behind make_host(): functions, their versions' pools, and what they share. Public
/// members: any thread; all others: the loop's thread.
class Host final : public FunctionHost {
 public:
  Host(Options options, std::unique_ptr<StoppableLauncher> launcher,
       std::unique_ptr<EventLoop> loop, SandboxMaker maker, std::unique_ptr<Runtimes> runtimes,
       std::unique_ptr<Cgroups> cgroups);
  ~Host() override;

  void publish(FunctionSpec spec, PublishDone done) override;
  void remove(std::string function, std::function<void()> done) override;
  void invoke(InvokeRequest request, std::function<void(InvokeResult)> done) override;
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

  // host_publish.cc
  void enqueue_publish(FunctionSpec spec, PublishDone done);
  void next_publish(const std::string& name);
  void on_prepared(const std::string& name, base::Result<std::shared_ptr<Version>> version);
  void on_template(const std::string& name, VersionPool* pool,
                   const VersionPool::TemplateResult& result);
  void activate(const std::string& name, VersionPool* pool, VersionInfo info);
  void fail_publish(const std::string& name, VersionInfo info, base::Error error);
  void end_publish(const std::string& name, base::Result<VersionInfo> result);
  void remove_now(const std::string& function);
  VersionPool* new_pool(std::shared_ptr<const Version> version);

  // host.cc
  void invoke_now(InvokeRequest request, std::function<void(InvokeResult)> done);
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

}  // namespace zorya::function_host
