#pragma once

#include "function_host/environment.h"

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace zorya::function_host {

class VersionPool;

/// How many environments may exist at once over all functions; parked clones and templates apart.
class Capacity {
 public:
  explicit Capacity(int count_max) : count_max_(count_max) {}
  bool take() { return count_ < count_max_ ? (++count_, true) : false; }
  void give_back() { --count_; }
  [[nodiscard]] bool is_full() const { return count_ >= count_max_; }

 private:
  int count_max_;
  int count_ = 0;
};

/// The environments of one version: starts, clones, hands out and ends them. One invoke waits for
/// at most one start of its own; whoever is free first serves the one who has waited longest.
/// Loop's thread.
class VersionPool final : public EnvironmentOwner {
 public:
  struct Callbacks {
    std::function<bool()>
        make_room;  // ends an idle environment of some version; false: there is none
    std::function<void(VersionPool&)> empty;  // after retire(): nothing is left
  };
  /// How a template's start ended.
  struct TemplateResult {
    bool cloned = false;        // the first parked clone stands
    bool failed = false;        // INIT or a hook failed: the version is Failed
    std::string reason = {};    // why not cloned
    StartFailure failure = {};  // if failed
    std::chrono::nanoseconds init_duration{0};
  };

  VersionPool(const HostContext& context, std::shared_ptr<const Version> version,
              Capacity& capacity, Callbacks callbacks);
  ~VersionPool() override;

  /// Runs INIT once in a template and parks the first clone. Without this call every environment
  /// starts cold.
  void start_template(std::function<void(TemplateResult)> done);

  void invoke(std::unique_ptr<Invocation> invocation);

  /// No new invokes will come: ends what is idle and, as it becomes idle, the rest.
  void retire();
  /// Ends everything now; what is under way is answered with an error.
  void shut_down();
  /// Ends environments that were idle since before `since`, or whose credentials run out.
  void reap(EventLoop::Time since);
  /// Ends the idle environment that was idle longest. False: there is none.
  bool end_one_idle();
  void check_memory();

  [[nodiscard]] const Version& version() const { return *version_; }
  [[nodiscard]] int idle_count() const { return static_cast<int>(idle_.size()); }
  [[nodiscard]] int parked_count() const { return static_cast<int>(parked_.size()); }
  [[nodiscard]] int busy_count() const { return static_cast<int>(counted_.size() - idle_.size()); }
  [[nodiscard]] bool is_active() const {
    return pending_ > 0 || busy_count() > 0 || template_busy_;
  }

  void environment_ready(Environment& environment) override;
  void template_ready(Environment& environment, pid_t runtime_pid) override;
  void environment_failed(Environment& environment, StartFailure failure) override;
  void environment_lost(Environment& environment) override;
  void environment_gone(Environment& environment) override;

 private:
  struct Started {
    base::Result<Sandbox> sandbox;
    Cgroup cgroup;
  };

  void pump();
  void start_cold(std::unique_ptr<Invocation> bound);
  void on_cold_started(Started result, const Credentials& credentials,
                       std::unique_ptr<Environment> environment, std::unique_ptr<Invocation> bound);
  void make_clone();
  void on_cloned(Started started);
  void answer_failure(std::unique_ptr<Invocation> invocation, const StartFailure& failure);
  void answer_throttled(std::unique_ptr<Invocation> invocation);
  void finish_template(TemplateResult result);
  void stop_cloning();
  void end_lone_templates();
  void lose_template(const std::string& reason);
  void drop(std::vector<Environment*>& list, Environment& environment);
  void check_empty();
  /// Environments that have answered a moment ago and are about to ask for more.
  [[nodiscard]] std::size_t returning_count() const;
  [[nodiscard]] base::Result<Cgroup> make_cgroup() const;
  template <typename Start>
  [[nodiscard]] std::shared_ptr<Started> start_in_cgroup(const Start& start) const;

  HostContext context_;
  std::shared_ptr<const Version> version_;
  Capacity& capacity_;
  Callbacks callbacks_;

  std::unordered_map<Environment*, std::shared_ptr<Environment>> all_;
  std::set<Environment*> counted_;   // hold a place of `capacity_`
  std::set<Environment*> starting_;  // to serve whoever waits
  std::vector<Environment*> idle_;   // most recently used last
  std::vector<Environment*> parked_;
  std::deque<std::unique_ptr<Invocation>> waiting_;
  int pending_ = 0;        // tasks of workers that will come back here
  int starting_cold_ = 0;  // of those, starts that serve whoever waits
  bool retiring_ = false;
  bool stopping_ = false;
  bool pump_again_ = false;  // a timer will pump
  bool emptied_ = false;

  std::shared_ptr<Environment> template_;
  bool clones_ = false;  // environments are clones of template_
  bool cloning_ = false;
  bool template_busy_ = false;  // INIT of the template is under way
  int clone_failures_ = 0;      // in a row
  int template_losses_ = 0;
  char tmp_mode_ = 'n';
  std::function<void(TemplateResult)> template_done_;
  std::chrono::nanoseconds template_init_{0};
};

}  // namespace zorya::function_host
