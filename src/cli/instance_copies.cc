// What an instance does about backups.
#include "base/files.h"
#include "base/log.h"
#include "cli/copies.h"
#include "cli/instance.h"

#include <algorithm>

namespace zorya::cli {

cluster::OnProgress Instance::told_by(const ControlServer::Say& say) const {
  return [this, &say](const cluster::CopyProgress& progress) {
    return !stops_waiting_ && say(progress_text(progress));
  };
}

std::string Instance::answer_backup(const ControlRequest& request, const ControlServer::Say& say) {
  State state;
  {
    const std::lock_guard lock(state_mutex_);
    state = state_;
  }
  const auto report =
      back_up_cluster(*clusters_, state, request.cluster, request.folder, told_by(say));
  return report ? copy_text(*report) : control_error(report.error());
}

/// The id stands in the state before its cluster is on disk: one that is there is always known.
base::Result<bool> Instance::enter_restored(const std::string& id) {
  const std::lock_guard lock(state_mutex_);
  if (!state_.restored.insert(id).second) return false;
  ZORYA_TRY(folder_.save_state(state_));
  return true;
}

void Instance::forget_restored(const std::string& id) {
  const std::lock_guard lock(state_mutex_);
  state_.restored.erase(id);
  if (auto saved = folder_.save_state(state_); !saved) {
    base::log(base::LogLevel::kWarning, "cli", base::to_string(saved.error()));
  }
}

std::string Instance::answer_restore(const ControlRequest& request, const ControlServer::Say& say) {
  const std::string id = request.cluster.empty() ? cluster::make_cluster_id() : request.cluster;
  const auto entered = enter_restored(id);
  if (!entered) return control_error(entered.error());
  const auto report = restore_cluster(*clusters_, id, request.folder, told_by(say));
  if (!report) {
    if (*entered) forget_restored(id);
    return control_error(report.error());
  }
  if (auto started = clusters_->ensure(report->cluster); !started) {
    return control_error(started.error());
  }
  // psql and token find it there.
  if (!stops_waiting_) {
    auto written =
        base::write_file_atomically(folder_.path() / "instance.json", instance_text(info()), 0600);
    if (!written) return control_error(written.error());
  }
  return copy_text(*report);
}

std::vector<cluster::ClusterInfo> Instance::restored_clusters() const {
  std::vector<cluster::ClusterInfo> found;
  const std::lock_guard lock(state_mutex_);
  for (const std::string& id : state_.restored) {
    if (auto one = clusters_->find(id)) found.push_back(std::move(*one));
  }
  return found;
}

void Instance::start_restored() {
  for (const cluster::ClusterInfo& one : restored_clusters()) {
    if (one.state == cluster::State::kActive) continue;
    Steps::Step step = steps_.begin("restored database cluster " + one.id);
    const auto ensured = clusters_->ensure(one.id);
    // What the template asks for is there all the same.
    if (ensured) {
      step.done("started");
    } else {
      step.failed(base::to_string(ensured.error()));
    }
  }
}

}  // namespace zorya::cli
