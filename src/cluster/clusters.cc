#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "cluster/backup.h"
#include "cluster/client.h"
#include "cluster/connection.h"
#include "cluster/extension.h"
#include "cluster/folders.h"
#include "cluster/leftover.h"
#include "cluster/restore.h"
#include "cluster/supervisor.h"
#include "cluster/template_folder.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;

// Who made a cluster is about to use it: the copy for the next one can wait.
constexpr std::chrono::seconds kSpareDelay{3};
constexpr std::string_view kSparePrefix = ".spare-";
constexpr std::string_view kMakingPrefix = ".making-";
constexpr std::string_view kTemplatePrefix = ".template-";

/// Names of the folders in `folder`, and no error if it cannot be read: the next step says why.
std::vector<std::string> folder_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error)) names.push_back(it->path().filename().string());
  }
  return names;
}

base::Result<void> check_cluster_id(std::string_view id) {
  if (is_cluster_id(id)) return {};
  return base::Error{base::Code::kInvalidArgument,
                     "\"" + std::string(id) + "\" is no cluster id: 26 characters of a-z and 0-9",
                     {}};
}

base::Result<void> check_programs(const fs::path& postgres_folder) {
  for (const char* name : {"postgres", "initdb", "psql", "pg_basebackup", "pg_verifybackup"}) {
    const fs::path program = postgres_folder / name;
    if (::access(program.c_str(), X_OK) != 0) {
      return base::Error{base::Code::kNotFound,
                         "PostgreSQL 15 is not installed: " + program.string() + " is absent",
                         "install the package postgresql-15"};
    }
  }
  return {};
}

class ClustersOnDisk final : public Clusters {
 public:
  ClustersOnDisk(Options options, TemplateSpec template_spec, base::Launcher& launcher)
      : options_(std::move(options)),
        template_spec_(std::move(template_spec)),
        launcher_(launcher) {
    for (const std::string& name : folder_names(template_spec_.clusters)) {
      if (is_cluster_id(name)) on_disk_.insert(name);
    }
    spare_thread_ = std::thread([this] { make_spares(); });
  }

  ~ClustersOnDisk() override {
    stop_all();
    spare_thread_.join();
  }

  base::Result<Ensured> ensure(std::string_view id) override;
  std::vector<ClusterInfo> list() const override;
  std::optional<ClusterInfo> find(std::string_view id) const override;
  base::Result<std::string> ask(std::string_view id, const std::string& sql,
                                const std::vector<std::string>& parameters,
                                std::chrono::milliseconds timeout) const override;
  void stop_all() override;
  base::Result<BackupInfo> back_up(std::string_view id, const fs::path& to,
                                   const std::map<std::string, std::string>& notes,
                                   const OnProgress& on_progress) override;
  base::Result<BackupInfo> restore(const fs::path& from, std::string_view id,
                                   const OnProgress& on_progress) override;

 private:
  [[nodiscard]] fs::path folder_of(std::string_view id) const {
    return template_spec_.clusters / id;
  }
  [[nodiscard]] ClusterInfo info_of(const std::string& id) const;  // mutex_ held
  [[nodiscard]] ServerSpec server_spec(const fs::path& folder) const;
  [[nodiscard]] OnProgress until_stopping(const OnProgress& on_progress) const;
  base::Result<void> check_is_free(std::string_view id) const;
  base::Result<void> name_restored(const fs::path& making, const std::string& id);
  void warn_if_of_another_build(const std::string& id) const;
  base::Result<bool> make_if_absent(const std::string& id);
  base::Result<void> make_data_folder(const fs::path& folder);
  base::Result<fs::path> take_or_make_copy();
  base::Result<fs::path> make_copy();
  void make_spares();

  const Options options_;
  const TemplateSpec template_spec_;
  base::Launcher& launcher_;

  std::mutex making_;  // held while a template or a cluster's folder is made; before mutex_
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::set<std::string, std::less<>> on_disk_;
  std::map<std::string, std::shared_ptr<Supervisor>, std::less<>> supervisors_;
  std::set<std::string, std::less<>> backing_up_;
  bool spare_wanted_ = false;
  bool stopping_ = false;
  std::thread spare_thread_;
};

ServerSpec ClustersOnDisk::server_spec(const fs::path& folder) const {
  ServerSpec spec;
  spec.program = template_spec_.postgres_folder / "postgres";
  spec.data_folder = folder / "data";
  spec.socket_folder = socket_folder_of(folder);
  spec.rules_file = folder / "pg_hba.conf";
  spec.owner_door = options_.owner_door ? OwnerDoor::kOpen : OwnerDoor::kClosed;
  spec.log_file = folder / "server.log";
  spec.library_folder = template_spec_.extension.folder;
  spec.settings = server_settings();
  spec.settings.insert(spec.settings.end(), template_spec_.extension.settings.begin(),
                       template_spec_.extension.settings.end());
  spec.settings.insert(spec.settings.end(), options_.server_settings.begin(),
                       options_.server_settings.end());
  spec.environment = options_.server_environment;
  spec.account = template_spec_.account;
  return spec;
}

ClusterInfo ClustersOnDisk::info_of(const std::string& id) const {
  ClusterInfo info;
  info.id = id;
  info.endpoint = id + ".dsql." + options_.region + ".on.aws";
  info.arn = "arn:aws:dsql:" + options_.region + ":" + options_.account + ":cluster/" + id;
  info.socket_folder = socket_folder_of(folder_of(id));
  info.state = State::kInactive;
  if (const auto found = supervisors_.find(id); found != supervisors_.end()) {
    const Supervisor::Status status = found->second->status();
    info.state = status.state;
    info.reason = status.reason;
    info.postmaster_pid = status.postmaster_pid;
  }
  return info;
}

std::vector<ClusterInfo> ClustersOnDisk::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<ClusterInfo> all;
  all.reserve(on_disk_.size());
  for (const std::string& id : on_disk_) all.push_back(info_of(id));
  return all;
}

std::optional<ClusterInfo> ClustersOnDisk::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = on_disk_.find(id);
  if (found == on_disk_.end()) return std::nullopt;
  return info_of(*found);
}

base::Result<std::string> ClustersOnDisk::ask(std::string_view id, const std::string& sql,
                                              const std::vector<std::string>& parameters,
                                              std::chrono::milliseconds timeout) const {
  const auto info = find(id);
  if (!info || info->postmaster_pid == 0) {
    return base::Error{
        base::Code::kUnavailable, "the server of cluster " + std::string(id) + " does not run", {}};
  }
  ZORYA_ASSIGN(Connection connection, Connection::open(info->socket_folder, kAdminRole, timeout));
  return connection.ask(sql, parameters, timeout);
}

base::Result<Clusters::Ensured> ClustersOnDisk::ensure(std::string_view id) {
  ZORYA_TRY(check_cluster_id(id));
  const std::string name(id);
  ZORYA_ASSIGN(const bool created, make_if_absent(name));
  std::shared_ptr<Supervisor> supervisor;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      return base::Error{base::Code::kFailedPrecondition,
                         "start cluster " + name + ": the instance is stopping",
                         {}};
    }
    auto& kept = supervisors_[name];
    if (!kept) {
      warn_if_of_another_build(name);
      kept = std::make_shared<Supervisor>(name, server_spec(folder_of(name)), launcher_);
    }
    supervisor = kept;
  }
  ZORYA_TRY(supervisor->wait_until_active());
  const std::lock_guard lock(mutex_);
  if (created) {
    spare_wanted_ = true;
    wake_.notify_all();
  }
  return Ensured{info_of(name), created};
}

/// The library is today's, the catalogue is what the template had then.
void ClustersOnDisk::warn_if_of_another_build(const std::string& id) const {
  auto made_from = base::read_file(folder_of(id) / "template", 4096);
  if (!made_from || *made_from != template_spec_.extension.key) {
    base::log(base::LogLevel::kWarning, "cluster",
              "cluster " + id +
                  " was made by another build of zorya: its system objects are those of "
                  "that build, and what this one added is missing there");
  }
}

/// True if it was made.
base::Result<bool> ClustersOnDisk::make_if_absent(const std::string& id) {
  const std::lock_guard making(making_);
  {
    const std::lock_guard lock(mutex_);
    if (on_disk_.contains(id)) return false;
  }
  if (auto made = make_data_folder(folder_of(id)); !made) {
    return made.error().with_context("make cluster " + id);
  }
  const std::lock_guard lock(mutex_);
  on_disk_.insert(id);
  return true;
}

/// A copy made ahead is renamed into place: nothing is written but the folder.
base::Result<void> ClustersOnDisk::make_data_folder(const fs::path& folder) {
  ZORYA_ASSIGN(const fs::path copy, take_or_make_copy());
  std::error_code error;
  fs::rename(copy, folder, error);
  if (error) return base::errno_error("rename to " + folder.string(), error.value());
  return base::sync_path(template_spec_.clusters);
}

base::Result<fs::path> ClustersOnDisk::take_or_make_copy() {
  const std::string prefix = std::string(kSparePrefix) + template_spec_.extension.key;
  for (const std::string& name : folder_names(template_spec_.clusters)) {
    if (name.starts_with(prefix)) return template_spec_.clusters / name;
  }
  return make_copy();
}

/// A cluster's folder without an id: `data` and the mark of the template it came from.
base::Result<fs::path> ClustersOnDisk::make_copy() {
  ZORYA_ASSIGN(const fs::path made, ensure_template(template_spec_, launcher_));
  const fs::path making =
      template_spec_.clusters / (std::string(kMakingPrefix) + base::random_alphanumeric(8));
  const auto fill = [&]() -> base::Result<void> {
    ZORYA_TRY(base::make_folder(making, template_spec_.account.is_other() ? 0711 : 0700));
    ZORYA_TRY(copy_for_server(made, making / "data", template_spec_.account));
    return base::write_file_atomically(making / "template", template_spec_.extension.key, 0600);
  };
  auto filled = fill();
  const fs::path spare =
      template_spec_.clusters / (std::string(kSparePrefix) + template_spec_.extension.key + "-" +
                                 base::random_alphanumeric(8));
  std::error_code error;
  if (filled) {
    fs::rename(making, spare, error);
    if (!error) return spare;
    filled = base::errno_error("rename to " + spare.string(), error.value());
  }
  std::error_code ignored;
  fs::remove_all(making, ignored);
  return filled.error();
}

/// A stop of the instance ends what runs for long.
OnProgress ClustersOnDisk::until_stopping(const OnProgress& on_progress) const {
  return [this, &on_progress](const CopyProgress& progress) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return false;
    }
    return on_progress(progress);
  };
}

base::Result<BackupInfo> ClustersOnDisk::back_up(std::string_view id, const fs::path& to,
                                                 const std::map<std::string, std::string>& notes,
                                                 const OnProgress& on_progress) {
  const std::string name(id);
  if (!find(name)) {
    return base::Error{base::Code::kNotFound, "there is no cluster " + name, {}};
  }
  ZORYA_ASSIGN(const Ensured ensured, ensure(name));
  if (const std::lock_guard lock(mutex_); !backing_up_.insert(name).second) {
    return base::Error{base::Code::kFailedPrecondition,
                       "back up cluster " + name + ": another backup of it is being made",
                       {}};
  }
  BackupRequest request;
  request.postgres_folder = template_spec_.postgres_folder;
  request.socket_folder = ensured.info.socket_folder;
  request.cluster = name;
  request.template_key =
      base::read_file(folder_of(name) / "template", 256).value_or(std::string("unknown"));
  request.to = to;
  request.notes = notes;
  auto made = back_up_to(request, launcher_, until_stopping(on_progress));
  {
    const std::lock_guard lock(mutex_);
    backing_up_.erase(name);
  }
  if (!made) return made.error().with_context("back up cluster " + name);
  return info_of_backup(std::move(*made));
}

base::Result<void> ClustersOnDisk::check_is_free(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  std::error_code error;
  if (!on_disk_.contains(id) && !fs::exists(folder_of(id), error)) return {};
  return base::Error{base::Code::kAlreadyExists,
                     "there is a cluster " + std::string(id) + ": nothing is overwritten",
                     "leave the id out for a new one"};
}

base::Result<void> ClustersOnDisk::name_restored(const fs::path& making, const std::string& id) {
  const std::lock_guard lock(making_);
  ZORYA_TRY(check_is_free(id));
  std::error_code error;
  fs::rename(making, folder_of(id), error);
  if (error) return base::errno_error("rename to " + folder_of(id).string(), error.value());
  ZORYA_TRY(base::sync_path(template_spec_.clusters));
  const std::lock_guard known(mutex_);
  on_disk_.insert(id);
  return {};
}

base::Result<BackupInfo> ClustersOnDisk::restore(const fs::path& from, std::string_view id,
                                                 const OnProgress& on_progress) {
  ZORYA_TRY(check_cluster_id(id));
  ZORYA_TRY(check_is_free(id));
  RestoreRequest request;
  request.postgres_folder = template_spec_.postgres_folder;
  request.from = from;
  request.making =
      template_spec_.clusters / (std::string(kMakingPrefix) + base::random_alphanumeric(8));
  request.server = server_spec(request.making);
  auto restored = restore_to(request, launcher_, until_stopping(on_progress));
  if (restored) {
    auto named = name_restored(request.making, std::string(id));
    if (named) return info_of_backup(std::move(*restored));
    restored = named.error();
  }
  std::error_code ignored;
  fs::remove_all(request.server.socket_folder, ignored);
  fs::remove_all(request.making, ignored);
  return restored.error().with_context("restore " + from.string());
}

/// The spare thread: after a cluster was made, the copy for the next one.
void ClustersOnDisk::make_spares() {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || spare_wanted_; });
      if (stopping_ || wake_.wait_for(lock, kSpareDelay, [this] { return stopping_; })) return;
      spare_wanted_ = false;
    }
    const std::lock_guard making(making_);
    if (auto spare = take_or_make_copy(); !spare) {
      base::log(base::LogLevel::kWarning, "cluster",
                "no copy of the template made ahead: " + to_string(spare.error()));
    }
  }
}

void ClustersOnDisk::stop_all() {
  std::map<std::string, std::shared_ptr<Supervisor>, std::less<>> ending;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ending.swap(supervisors_);
  }
  wake_.notify_all();
  for (const auto& [id, supervisor] : ending) supervisor->stop();  // all at once
  ending.clear();                                                  // waits for each
}

/// The servers of a killed predecessor, a template's too.
base::Result<void> end_leftovers(const fs::path& clusters) {
  for (const std::string& name : folder_names(clusters)) {
    if (is_cluster_id(name) || name.starts_with(kMakingPrefix)) {
      ZORYA_TRY(end_leftover_server(clusters / name / "data"));
    }
  }
  return {};
}

/// Folders half made by a killed predecessor, and templates and copies of another build.
base::Result<void> remove_unusable(const fs::path& clusters, const std::string& key) {
  const std::string template_name = std::string(kTemplatePrefix) + key;
  const std::string spare_name = std::string(kSparePrefix) + key;
  for (const std::string& name : folder_names(clusters)) {
    const bool other_template = name.starts_with(kTemplatePrefix) && name != template_name;
    const bool other_spare = name.starts_with(kSparePrefix) && !name.starts_with(spare_name);
    if (!name.starts_with(kMakingPrefix) && !other_template && !other_spare) continue;
    std::error_code error;
    fs::remove_all(clusters / name, error);
    if (error) return base::errno_error("remove " + name, error.value());
  }
  return {};
}

}  // namespace

base::Result<std::unique_ptr<Clusters>> Clusters::open(Options options, base::Launcher& launcher) {
  if (options.postgres_folder.empty()) options.postgres_folder = ZORYA_POSTGRES_FOLDER;
  ZORYA_TRY(check_programs(options.postgres_folder));
  std::error_code error;  // psql runs elsewhere
  options.library_folder = fs::canonical(options.library_folder, error);
  if (error) return base::errno_error("find the library folder", error.value());
  TemplateSpec spec;
  spec.postgres_folder = options.postgres_folder;
  ZORYA_ASSIGN(spec.account, server_account());
  ZORYA_ASSIGN(spec.clusters, prepare_clusters_folder(options.data_folder, spec.account));
  // Before the extension: its other versions are removed, and a leftover may use one.
  ZORYA_TRY(end_leftovers(spec.clusters));
  ZORYA_ASSIGN(spec.extension, install_extension(options.library_folder, spec.clusters));
  ZORYA_TRY(remove_unusable(spec.clusters, spec.extension.key));
  return std::unique_ptr<Clusters>(
      std::make_unique<ClustersOnDisk>(std::move(options), std::move(spec), launcher));
}

}  // namespace zorya::cluster
