#include "cli/instance.h"

#include "base/files.h"
#include "base/log.h"
#include "cli/control_messages.h"
#include "cli/database_control.h"
#include "cli/ports.h"
#include "function_host/host.h"
#include "query_processor/gate/limit_settings.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <set>

namespace zorya::cli {
namespace {

namespace fs = std::filesystem;
namespace te = template_engine;

// A publish installs requirements and runs INIT, each with bounds of its own below this one.
constexpr std::chrono::minutes kPublishPatience{20};
constexpr std::chrono::milliseconds kStopPoll{50};
// The longest timeout of a function, and what is around it.
constexpr std::chrono::minutes kInvokePatience{16};

// Everything that makes a function what it is; its code by a signature of the folder.
std::string fingerprint(const te::FunctionResource& function, const fs::path& except) {
  const function_host::FunctionSpec& spec = function.spec;
  std::string text;
  const auto add = [&](std::string_view part) { text.append(part).push_back('\x1f'); };
  for (const std::string* part : {&spec.name, &spec.description, &spec.runtime, &spec.handler,
                                  &spec.alias, &spec.log_group, &spec.role_arn}) {
    add(*part);
  }
  for (const long number :
       {static_cast<long>(spec.memory_size_mb), static_cast<long>(spec.timeout.count()),
        static_cast<long>(spec.snap_start), static_cast<long>(spec.log_format),
        static_cast<long>(spec.tracing_active), static_cast<long>(spec.ephemeral_storage_mb)}) {
    add(std::to_string(number));
  }
  for (const auto& [name, value] : spec.environment) {
    add(name);
    add(value);
  }
  add(spec.code_folder.string());
  add(std::to_string(tree_signature(spec.code_folder, except)));
  return text;
}

router::Limits router_limits(const std::map<std::string, int>& lowered) {
  router::Limits limits;
  for (const auto& [name, value] : lowered) {
    if (name == "message_bytes_max") limits.message_bytes_max = static_cast<std::uint32_t>(value);
    if (name == "transaction_age_s_max") limits.transaction_age_max = std::chrono::seconds(value);
    if (name == "connections_max")
      limits.connections_per_cluster_max = static_cast<std::size_t>(value);
    if (name == "connection_life_s_max") limits.session_life = std::chrono::seconds(value);
  }
  return limits;
}

std::string cluster_label(const te::ClusterResource& cluster) {
  return "database cluster " + cluster.id +
         (cluster.logical_id.empty() ? "" : " (" + cluster.logical_id + ")");
}

std::string version_text(const function_host::VersionInfo& version) {
  std::string text = "version " + version.version;
  if (version.restore_path == "clone") text += ", SnapStart";
  if (version.init_duration.count() > 0) text += ", init " + duration_text(version.init_duration);
  if (!version.restore_reason.empty()) text += "; starts cold: " + version.restore_reason;
  return text;
}

}  // namespace

void tell_refusals(const std::vector<te::Refusal>& refusals, Steps& steps) {
  for (const te::Refusal& refusal : refusals) steps.say("refused", te::to_string(refusal));
}

base::Result<std::unique_ptr<Instance>> Instance::start(Options options, DataFolder& folder,
                                                        Steps& steps) {
  std::unique_ptr<Instance> instance(new Instance(std::move(options), folder, steps));
  ZORYA_ASSIGN(instance->state_, folder.load_state());
  auto plan = instance->read_plan();
  if (!plan) return plan.error();
  for (const te::Refusal& note : plan->notes) steps.say("note", te::to_string(note));
  ZORYA_TRY(instance->start_parts());
  const auto deployed = instance->deploy(*plan);
  if (!deployed) return deployed.error();
  instance->start_restored();
  instance->options_.should_stop = [started = instance.get()] {
    return started->stops_waiting_.load();
  };
  const auto watching = instance->reloader_->start({{}, instance->watched(*plan)});
  if (!watching) steps.say("warning", "no live reload: " + base::to_string(watching.error()));
  return instance;
}

Instance::~Instance() {
  // Who waits for a publish is answered while the gateway can still say it; the gateway asks the
  // reloader until it has stopped.
  if (reloader_) reloader_->stop();
  if (gateway_) gateway_->stop();
  gateway_.reset();
  reloader_.reset();
  host_.reset();
  if (router_) router_->stop();
  router_.reset();
  if (clusters_) clusters_->stop_all();
}

base::Result<te::Plan> Instance::read_plan() {
  te::Context context;
  context.stack = options_.arguments.stack.empty() ? te::stack_name_for(options_.template_file)
                                                   : options_.arguments.stack;
  context.region = options_.region;
  context.account = options_.account;
  context.seed = state_.seed;
  context.cluster_id = [this, stack = context.stack](std::string_view logical_id) {
    return cluster::cluster_id_for(state_.seed, stack, logical_id);
  };
  auto read = te::read_template(options_.template_file, options_.arguments.parameters, context);
  if (auto* plan = std::get_if<te::Plan>(&read)) return std::move(*plan);
  const auto& refusals = std::get<std::vector<te::Refusal>>(read);
  tell_refusals(refusals, steps_);
  return base::Error{base::Code::kInvalidArgument,
                     "the template is refused, " + std::to_string(refusals.size()) +
                         (refusals.size() == 1 ? " reason: " : " reasons, the first: ") +
                         te::to_string(refusals.front()),
                     {}};
}

base::Result<void> Instance::start_parts() {
  const fs::path& data = folder_.path();
  ZORYA_ASSIGN(launcher_, base::Launcher::create());
  ZORYA_ASSIGN(authority_,
               net::Authority::open({.folder = data / "ca", .region = options_.region}));
  ZORYA_ASSIGN(keys_, iam::KeyStore::open(data / "keys", options_.account));
  roles_ = std::make_unique<Roles>(*keys_, options_.account);
  ZORYA_ASSIGN(telemetry_, telemetry::Store::open(telemetry_file(data)));
  cluster::Options clusters;
  clusters.data_folder = data;
  clusters.library_folder = options_.library_folder;
  clusters.region = options_.region;
  clusters.account = options_.account;
  for (const auto& [name, value] : options_.arguments.limits) {
    steps_.say("note",
               "a limit is lower than the service's: " + name + " " + std::to_string(value));
    if (query_processor::gate::limit_setting(name) != nullptr) {
      clusters.server_settings.emplace_back("zorya." + name, std::to_string(value));
    }
    if (name == "temp_kib_max") {
      clusters.server_settings.emplace_back("temp_file_limit", std::to_string(value) + "kB");
    }
  }
  if (options_.arguments.forced_outcomes) {
    clusters.server_settings.emplace_back("zorya.forced_outcomes", "on");
    steps_.say("note", "who can log in can force what commits end in: this instance serves tests");
  }
  ZORYA_ASSIGN(clusters_, cluster::Clusters::open(std::move(clusters), *launcher_));
  ZORYA_TRY(start_router());
  ZORYA_TRY(start_host());
  ZORYA_ASSIGN(reloader_, Reloader::create([this] { return reload(); }));
  return start_gateway();
}

base::Result<void> Instance::start_router() {
  const auto start = [this](std::uint16_t port) -> base::Result<void> {
    router::Options options;
    options.port = port;
    options.authority = authority_.get();
    options.keys = keys_.get();
    options.region = options_.region;
    options.account = options_.account;
    options.limits = router_limits(options_.arguments.limits);
    options.find_cluster = [this](std::string_view id) -> base::Result<router::BackendTarget> {
      const auto found = clusters_->find(id);
      if (!found) return base::Error{base::Code::kNotFound, "no cluster " + std::string(id), {}};
      if (found->state != cluster::State::kActive) {
        return base::Error{base::Code::kUnavailable,
                           "cluster " + std::string(id) + " is " +
                               std::string(cluster::state_name(found->state)) + " " + found->reason,
                           {}};
      }
      return router::BackendTarget{found->socket_folder, found->database};
    };
    ZORYA_ASSIGN(router_, router::Router::start(std::move(options)));
    return {};
  };
  return start_on_port({options_.arguments.dsql_port, 5432, "the database"}, start,
                       [this](const std::string& text) { steps_.say("note", text); });
}

base::Result<void> Instance::start_host() {
  function_host::Options options;
  options.data_folder = folder_.path();
  options.library_folder = options_.library_folder;
  options.launcher = launcher_.get();
  options.sink = telemetry_.get();
  options.credentials = [this](const std::string& role) { return roles_->credentials(role); };
  options.on_database_connection = [this](base::UniqueFd connection, std::string origin,
                                          std::shared_ptr<void> lease) {
    router_->adopt(std::move(connection), std::move(origin), std::move(lease));
  };
  options.region = options_.region;
  options.account = options_.account;
  // Ours alone: a function reaches nothing that another authority vouches for, and reading the
  // public ones would cost each restore milliseconds and each connection a megabyte.
  options.ca_bundle = authority_->certificate_file();
  options.interpreters = options_.arguments.runtimes;
  options.nearest_runtime = options_.arguments.nearest_runtime;
  if (!options_.arguments.use_cgroups) options.cgroups = function_host::CgroupMode::kOff;
  ZORYA_ASSIGN(host_, function_host::make_host(std::move(options)));
  return {};
}

base::Result<void> Instance::start_gateway() {
  const auto start = [this](std::uint16_t port) -> base::Result<void> {
    gateway::Options options;
    options.port = port;
    options.host = host_.get();
    options.telemetry = telemetry_.get();
    options.account = options_.account;
    options.region = options_.region;
    options.before_request = [this](gateway::RequestReady ready) {
      reloader_->before_request(std::move(ready));
    };
    ZORYA_ASSIGN(gateway_, gateway::Gateway::start(std::move(options)));
    return {};
  };
  return start_on_port({options_.arguments.port, 3000, "HTTP"}, start,
                       [this](const std::string& text) { steps_.say("note", text); });
}

base::Result<void> Instance::deploy(const te::Plan& plan) {
  // Clusters that exist start while functions are published: the router lets a connection wait for
  // one that starts. One that must be made first is not known to it yet.
  const bool all_exist =
      std::all_of(plan.clusters.begin(), plan.clusters.end(),
                  [this](const auto& cluster) { return clusters_->find(cluster.id).has_value(); });
  if (!all_exist) ZORYA_TRY(ensure_clusters(plan));
  auto started = std::async(std::launch::async, [&] { return ensure_clusters(plan); });
  roles_->set(plan.functions);
  const auto published = publish_functions(plan);
  ZORYA_TRY(started.get());
  ZORYA_TRY(remember(plan));  // what was made is known even if a publish failed
  ZORYA_TRY(published);
  gateway_->set_apis(plan.apis);
  remove_left_functions(plan);
  const std::lock_guard lock(mutex_);
  plan_ = plan;
  return {};
}

base::Result<void> Instance::ensure_clusters(const te::Plan& plan) {
  for (const te::ClusterResource& resource : plan.clusters) {
    const auto found = clusters_->find(resource.id);
    if (found && found->state == cluster::State::kActive) continue;
    Steps::Step step = steps_.begin(cluster_label(resource));
    const auto ensured = clusters_->ensure(resource.id);
    if (!ensured) {
      step.failed(base::to_string(ensured.error()));
      return ensured.error();
    }
    const bool is_literal = resource.logical_id.empty();
    step.done(!ensured->created ? "started"
              : is_literal      ? "made, as a variable names its endpoint"
                                : "made");
  }
  return {};
}

base::Result<function_host::VersionInfo> Instance::wait_for_publish(
    std::future<base::Result<function_host::VersionInfo>>& outcome) const {
  const auto deadline = std::chrono::steady_clock::now() + kPublishPatience;
  while (outcome.wait_for(kStopPoll) != std::future_status::ready) {
    if (options_.should_stop()) return base::Error{base::Code::kUnavailable, "stopped", {}};
    if (std::chrono::steady_clock::now() > deadline) {
      return base::Error{base::Code::kDeadlineExceeded, "the publish takes too long", {}};
    }
  }
  return outcome.get();
}

base::Result<void> Instance::publish_functions(const te::Plan& plan) {
  struct Publish {
    const te::FunctionResource* function;
    std::string print;
    Steps::Step step;
    std::future<base::Result<function_host::VersionInfo>> outcome;
  };
  std::vector<Publish> publishes;
  for (const te::FunctionResource& function : plan.functions) {
    std::string print = fingerprint(function, folder_.path());
    const auto known = published_.find(function.spec.name);
    if (known != published_.end() && known->second == print) continue;
    auto promise = std::make_shared<std::promise<base::Result<function_host::VersionInfo>>>();
    publishes.push_back({&function, std::move(print),
                         steps_.begin("function " + function.logical_id), promise->get_future()});
    host_->publish(function.spec, [promise](base::Result<function_host::VersionInfo> outcome) {
      promise->set_value(std::move(outcome));
    });
  }
  base::Result<void> all;
  for (Publish& publish : publishes) {
    auto outcome = wait_for_publish(publish.outcome);
    if (outcome && outcome->state == function_host::VersionState::kFailed) {
      outcome = base::Error{base::Code::kFailedPrecondition, outcome->state_reason, {}};
    }
    if (outcome) {
      published_[publish.function->spec.name] = publish.print;
      publish.step.done(version_text(*outcome));
    } else {
      published_.erase(publish.function->spec.name);
      publish.step.failed(base::to_string(outcome.error()));
      all = outcome.error().with_context("publish " + publish.function->logical_id);
    }
  }
  return all;
}

// Their environments end; what they left on disk stays.
void Instance::remove_left_functions(const te::Plan& plan) {
  std::set<std::string> names;
  for (const te::FunctionResource& function : plan.functions) names.insert(function.spec.name);
  for (auto known = published_.begin(); known != published_.end();) {
    if (names.contains(known->first)) {
      ++known;
      continue;
    }
    host_->remove(known->first, [] {});
    known = published_.erase(known);
  }
}

// Resources that left the template stay known, and are reported at each start.
base::Result<void> Instance::remember(const te::Plan& plan) {
  const std::lock_guard lock(state_mutex_);
  auto& known = state_.stacks[plan.stack];
  std::set<std::string> present;
  for (const te::ClusterResource& cluster : plan.clusters) {
    const std::string key = cluster.logical_id.empty() ? cluster.id : cluster.logical_id;
    known[key] = {std::string(kClusterType), cluster.id, false};
    present.insert(key);
  }
  for (const te::FunctionResource& function : plan.functions) {
    known[function.logical_id] = {std::string(kFunctionType), function.spec.name, false};
    present.insert(function.logical_id);
  }
  for (auto& [key, resource] : known) {
    if (present.contains(key)) continue;
    resource.is_left = true;
    const bool is_cluster = resource.type == kClusterType;
    steps_.say("note", (is_cluster ? "database cluster " : "function ") + resource.id + " (" + key +
                           ") is not in the template any more: it is kept" +
                           (is_cluster ? ", with its rows" : ", and not served"));
  }
  return folder_.save_state(state_);
}

Reloader::Published Instance::reload() {
  steps_.say("change", "publishing what the sources say now");
  auto plan = read_plan();
  if (!plan) {
    const std::lock_guard lock(mutex_);
    return {plan.error(), watched(plan_)};
  }
  auto deployed = deploy(*plan);
  return {std::move(deployed), watched(*plan)};
}

Watched Instance::watched(const te::Plan& plan) const {
  Watched watched;
  watched.file = options_.template_file;
  watched.except = folder_.path();
  for (const te::FunctionResource& function : plan.functions) {
    watched.folders.push_back(function.spec.code_folder);
  }
  return watched;
}

std::vector<te::Output> Instance::outputs() const {
  const std::lock_guard lock(mutex_);
  return plan_.outputs;
}

InstanceInfo Instance::info() const {
  const std::vector<cluster::ClusterInfo> restored = restored_clusters();
  const std::lock_guard lock(mutex_);
  InstanceInfo info;
  info.pid = ::getpid();
  info.api_url = "http://127.0.0.1:" + std::to_string(gateway_->port());
  info.ca_file = authority_->certificate_file().string();
  info.region = options_.region;
  info.stack = plan_.stack;
  for (const te::ClusterResource& cluster : plan_.clusters) {
    info.dsql.push_back({cluster.id, cluster.logical_id,
                         cluster.id + ".dsql." + options_.region + ".on.aws", "127.0.0.1",
                         router_->port(), options_.region});
  }
  for (const cluster::ClusterInfo& one : restored) {
    const bool is_named =
        std::any_of(info.dsql.begin(), info.dsql.end(),
                    [&](const ReachableCluster& named) { return named.id == one.id; });
    if (is_named) continue;
    info.dsql.push_back(
        {one.id, {}, one.endpoint, "127.0.0.1", router_->port(), options_.region, true});
  }
  for (const te::FunctionResource& function : plan_.functions) {
    info.functions.push_back({function.logical_id, function.spec.name, function.spec.log_group});
  }
  return info;
}

std::string Instance::answer(const std::string& request, const ControlServer::Say& say) {
  const auto parsed = parse_control_request(request);
  if (!parsed) return control_error(parsed.error());
  if (parsed->verb == "status") return answer_status();
  if (parsed->verb == "force") return answer_force(parsed->function, parsed->payload);
  if (parsed->verb == "invoke") return answer_invoke(parsed->function, parsed->payload);
  if (parsed->verb == "backup") return answer_backup(*parsed, say);
  if (parsed->verb == "restore") return answer_restore(*parsed, say);
  return control_error({base::Code::kInvalidArgument, "no such request: " + parsed->verb, {}});
}

std::string Instance::answer_status() {
  StatusReport report;
  report.instance = info();
  report.clusters = clusters_->list();
  report.host = host_->status();
  report.router = router_->status();
  report.telemetry = telemetry_->counters();
  report.forced_outcomes = options_.arguments.forced_outcomes;
  for (const cluster::ClusterInfo& cluster : report.clusters) {
    report.commit_paths.push_back(cluster.postmaster_pid == 0
                                      ? std::string("null")
                                      : commit_path_json(*clusters_, cluster.id));
  }
  return status_text(report);
}

std::string Instance::answer_force(const std::string& cluster, const std::string& text) {
  if (!options_.arguments.forced_outcomes) {
    return control_error({base::Code::kFailedPrecondition,
                          "outcomes cannot be forced: the instance was not started for it",
                          "zorya up … --forced-outcomes"});
  }
  const auto chosen = choose_cluster(info(), cluster);
  if (!chosen) return control_error(chosen.error());
  const auto arguments = parse_force(text);
  if (!arguments) return control_error(arguments.error());
  const auto answer = force(*clusters_, chosen->id, *arguments);
  return answer ? *answer : control_error(answer.error());
}

std::string Instance::answer_invoke(const std::string& function, std::string payload) {
  const auto chosen = choose_function(info(), function);
  if (!chosen) return control_error(chosen.error());
  auto promise = std::make_shared<std::promise<function_host::InvokeResult>>();
  auto future = promise->get_future();
  host_->invoke(
      {chosen->name, std::move(payload), {}, {}},
      [promise](function_host::InvokeResult result) { promise->set_value(std::move(result)); });
  const auto deadline = std::chrono::steady_clock::now() + kInvokePatience;
  while (future.wait_for(kStopPoll) != std::future_status::ready) {
    if (stops_waiting_) return control_error({base::Code::kUnavailable, "zorya stops", {}});
    if (std::chrono::steady_clock::now() > deadline) {
      return control_error({base::Code::kDeadlineExceeded, "the invoke takes too long", {}});
    }
  }
  return invoke_text(future.get());
}

}  // namespace zorya::cli
