// backup and restore: by the running instance, or by ourselves where none runs.
#include "base/files.h"
#include "cli/control.h"
#include "cli/control_messages.h"
#include "cli/copies.h"
#include "cli/data_folder.h"
#include "cli/progress.h"
#include "cli/run.h"

#include <csignal>
#include <cstdio>
#include <ctime>
#include <functional>

namespace zorya::cli {
namespace {

namespace fs = std::filesystem;

// The longest step that says nothing: a start that replays the log.
constexpr std::chrono::minutes kSilence{11};

/// Ctrl-C while we are the one who works: read between two steps, so that nothing is left behind.
class StopKeys {
 public:
  StopKeys() {
    sigemptyset(&set_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set_, signal);
    ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);  // before any thread starts
  }
  [[nodiscard]] bool pressed() const {
    const timespec at_once{};
    return ::sigtimedwait(&set_, nullptr, &at_once) > 0;
  }

 private:
  sigset_t set_{};
};

base::Result<CopyReport> ask_for_copy(const Common& common, const ControlRequest& request,
                                      Progress& progress) {
  std::string step;
  ZORYA_ASSIGN(const std::string answer, follow_instance(common.data_folder, control_text(request),
                                                         kSilence, [&](const std::string& line) {
                                                           const auto told =
                                                               parse_progress(line, &step);
                                                           if (told) progress.tell(*told);
                                                           return !told;
                                                         }));
  return parse_copy(answer);
}

/// The clusters of a data folder that nobody runs.
struct OwnClusters {
  DataFolder folder;
  State state;
  std::unique_ptr<base::Launcher> launcher;
  std::unique_ptr<cluster::Clusters> clusters;
};

base::Result<OwnClusters> open_clusters(const fs::path& data_folder, State state) {
  ZORYA_ASSIGN(DataFolder folder, DataFolder::take(data_folder));
  ZORYA_ASSIGN(auto launcher, base::Launcher::create());
  cluster::Options options;
  options.data_folder = data_folder;
  options.library_folder = fs::weakly_canonical(base::program_folder() / "../lib/zorya");
  ZORYA_ASSIGN(auto clusters, cluster::Clusters::open(std::move(options), *launcher));
  return OwnClusters{std::move(folder), std::move(state), std::move(launcher), std::move(clusters)};
}

base::Result<CopyReport> back_up_ourselves(const Common& common, const BackupArguments& arguments,
                                           const cluster::OnProgress& on_progress) {
  ZORYA_ASSIGN(State state, read_state(common.data_folder));
  ZORYA_ASSIGN(OwnClusters own, open_clusters(common.data_folder, std::move(state)));
  return back_up_cluster(*own.clusters, own.state, arguments.cluster, arguments.to, on_progress);
}

/// The state is saved before the cluster is on disk: one that is there is always known.
base::Result<CopyReport> restore_into(OwnClusters& own, const RestoreArguments& arguments,
                                      const cluster::BackupInfo& backup, bool is_first,
                                      const cluster::OnProgress& on_progress) {
  const std::string id = arguments.id.empty() ? cluster::make_cluster_id() : arguments.id;
  const bool is_itself = is_first && id == backup.cluster && take_former_place(backup, own.state);
  if (own.state.seed.empty()) {
    ZORYA_ASSIGN(own.state, own.folder.load_state());
  }
  const State before = own.state;
  if (!is_itself) own.state.restored.insert(id);
  ZORYA_TRY(own.folder.save_state(own.state));
  auto report = restore_cluster(*own.clusters, id, arguments.from, on_progress);
  if (!report) (void)own.folder.save_state(before);
  return report;
}

base::Result<CopyReport> restore_ourselves(const Common& common, const RestoreArguments& arguments,
                                           const cluster::OnProgress& on_progress) {
  std::error_code error;
  auto state = read_state(common.data_folder);
  if (!state && state.error().code != base::Code::kNotFound) return state.error();
  const bool is_first = !state && !fs::exists(common.data_folder / "clusters", error);
  // A folder that is no backup is said before anything is made.
  ZORYA_ASSIGN(const cluster::BackupInfo backup, cluster::look_at_backup(arguments.from));
  auto restored = [&]() -> base::Result<CopyReport> {
    ZORYA_ASSIGN(OwnClusters own,
                 open_clusters(common.data_folder, state ? std::move(*state) : State{}));
    return restore_into(own, arguments, backup, is_first, on_progress);
  }();
  if (!restored && is_first) {
    const auto folder = DataFolder::take(common.data_folder);
    if (folder) (void)remove_made(common.data_folder);
  }
  return restored;
}

using Ourselves = std::function<base::Result<CopyReport>(const cluster::OnProgress&)>;

base::Result<CopyReport> copy(const Common& common, const ControlRequest& request,
                              const Ourselves& ourselves) {
  Progress progress(common.json);
  if (is_instance_listening(common.data_folder)) return ask_for_copy(common, request, progress);
  const StopKeys keys;
  return ourselves([&](const cluster::CopyProgress& told) {
    progress.tell(told);
    return !keys.pressed();
  });
}

}  // namespace

int run_backup(const Common& common, const BackupArguments& arguments) {
  const auto report = copy(
      common, {.verb = "backup", .cluster = arguments.cluster, .folder = arguments.to.string()},
      [&](const auto& tell) { return back_up_ourselves(common, arguments, tell); });
  if (!report) return fail(common, report.error());
  if (common.json) {
    std::puts(copy_text(*report).c_str());
  } else {
    std::printf("cluster %s is copied to %s: %s, verified\n", report->cluster.c_str(),
                report->folder.c_str(), size_text(report->size_bytes).c_str());
  }
  return 0;
}

int run_restore(const Common& common, const RestoreArguments& arguments) {
  const auto report =
      copy(common, {.verb = "restore", .cluster = arguments.id, .folder = arguments.from.string()},
           [&](const auto& tell) { return restore_ourselves(common, arguments, tell); });
  if (!report) return fail(common, report.error());
  if (common.json) {
    std::puts(copy_text(*report).c_str());
  } else {
    std::printf("cluster %s is made of %s, as it was at %s\nits endpoint is %s\n",
                report->cluster.c_str(), report->folder.c_str(), report->made_at.c_str(),
                report->endpoint.c_str());
  }
  return 0;
}

}  // namespace zorya::cli
