#pragma once

#include "base/launcher.h"
#include "base/result.h"
#include "cli/arguments.h"
#include "cli/control.h"
#include "cli/control_messages.h"
#include "cli/data_folder.h"
#include "cli/instance_file.h"
#include "cli/reloader.h"
#include "cli/roles.h"
#include "cli/steps.h"
#include "cluster/client.h"
#include "function_host/client.h"
#include "gateway/gateway.h"
#include "iam/key_store.h"
#include "net/authority.h"
#include "router/router.h"
#include "telemetry/store.h"
#include "template_engine/template_engine.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace zorya::cli {

/// Every part of one running instance, wired. Built from the bottom up, ended from the top down:
/// the members' order is the order of the wiring.
class Instance {
 public:
  struct Options {
    UpArguments arguments;
    std::filesystem::path template_file;
    std::filesystem::path library_folder;
    std::string region = "us-east-1";
    std::string account = "000000000000";
    /// Asked while something takes long; true ends start() with kUnavailable. Not called after it.
    std::function<bool()> should_stop = [] { return false; };
  };

  /// Reads the template, starts the parts, makes what the template asks for. `folder` and `steps`
  /// outlive the instance. What the template refuses has been told through `steps` when the error
  /// is kInvalidArgument.
  static base::Result<std::unique_ptr<Instance>> start(Options options, DataFolder& folder,
                                                       Steps& steps);
  ~Instance();

  [[nodiscard]] InstanceInfo info() const;
  [[nodiscard]] iam::AccessKey admin_key() const { return keys_->admin(); }
  [[nodiscard]] std::vector<template_engine::Output> outputs() const;

  /// What other verbs ask, as one line of JSON; the answer too, and what is said before it. May
  /// block for as long as a function or a backup runs. Any thread.
  std::string answer(const std::string& request, const ControlServer::Say& say);
  /// Before the end: answer() and a publish that runs give up what they wait for. Any thread.
  void stop_waiting() { stops_waiting_ = true; }

 private:
  Instance(Options options, DataFolder& folder, Steps& steps)
      : options_(std::move(options)), folder_(folder), steps_(steps) {}

  base::Result<void> start_parts();
  base::Result<void> start_router();
  base::Result<void> start_host();
  base::Result<void> start_gateway();

  base::Result<template_engine::Plan> read_plan();
  base::Result<void> deploy(const template_engine::Plan& plan);
  base::Result<void> ensure_clusters(const template_engine::Plan& plan);
  base::Result<void> publish_functions(const template_engine::Plan& plan);
  base::Result<function_host::VersionInfo> wait_for_publish(
      std::future<base::Result<function_host::VersionInfo>>& outcome) const;
  void remove_left_functions(const template_engine::Plan& plan);
  base::Result<void> remember(const template_engine::Plan& plan);
  Reloader::Published reload();
  [[nodiscard]] Watched watched(const template_engine::Plan& plan) const;

  std::string answer_status();
  std::string answer_force(const std::string& cluster, const std::string& text);
  std::string answer_invoke(const std::string& function, std::string payload);
  std::string answer_backup(const ControlRequest& request, const ControlServer::Say& say);
  std::string answer_restore(const ControlRequest& request, const ControlServer::Say& say);
  [[nodiscard]] cluster::OnProgress told_by(const ControlServer::Say& say) const;
  /// Those of `state_.restored` that are on disk.
  [[nodiscard]] std::vector<cluster::ClusterInfo> restored_clusters() const;
  void start_restored();
  base::Result<bool> enter_restored(const std::string& id);  // false: it was there
  void forget_restored(const std::string& id);

  Options options_;
  DataFolder& folder_;
  Steps& steps_;
  mutable std::mutex state_mutex_;
  State state_;  // under state_mutex_, but for the seed, which stays

  std::unique_ptr<base::Launcher> launcher_;
  std::unique_ptr<net::Authority> authority_;
  std::unique_ptr<iam::KeyStore> keys_;
  std::unique_ptr<Roles> roles_;
  std::unique_ptr<telemetry::Store> telemetry_;
  std::unique_ptr<cluster::Clusters> clusters_;
  std::unique_ptr<router::Router> router_;
  std::unique_ptr<function_host::FunctionHost> host_;
  std::unique_ptr<Reloader> reloader_;
  std::unique_ptr<gateway::Gateway> gateway_;

  std::atomic<bool> stops_waiting_{false};
  mutable std::mutex mutex_;
  template_engine::Plan plan_;                    // under mutex_: what is deployed
  std::map<std::string, std::string> published_;  // function name → what was published; reloader's
};

/// Says each refusal, and the count.
void tell_refusals(const std::vector<template_engine::Refusal>& refusals, Steps& steps);

}  // namespace zorya::cli
