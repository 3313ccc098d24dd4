#include "cluster/backup.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/unique_fd.h"
#include "cluster/account.h"
#include "cluster/folders.h"
#include "cluster/settings.h"
#include "cluster/tool_run.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <ctime>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kVersionTimeout{10};

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(base::system_clock().now());
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// The folder while it is filled: ours alone as long as the descriptor is open.
class FolderInMaking {
 public:
  static base::Result<FolderInMaking> take(const fs::path& to) {
    std::error_code error;
    if (fs::exists(to, error) && !(fs::is_directory(to, error) && fs::is_empty(to, error))) {
      return base::Error{base::Code::kAlreadyExists,
                         to.string() + " is there and not empty: nothing is overwritten",
                         "choose a folder that is not there yet"};
    }
    const fs::path path = to.string() + ".incomplete";
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      return base::errno_error("make folder " + path.string(), errno);
    }
    base::UniqueFd lock(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!lock) return base::errno_error("open " + path.string(), errno);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      return base::Error{base::Code::kFailedPrecondition,
                         "another backup is being written to " + path.string(),
                         {}};
    }
    if (!fs::is_empty(path, error) && !fs::exists(path / kIncompleteMark, error)) {
      return base::Error{
          base::Code::kAlreadyExists, path.string() + " is there and was not made by a backup", {}};
    }
    FolderInMaking making(path, std::move(lock));
    ZORYA_TRY(making.remove_content());  // of one that was killed
    ZORYA_TRY(base::write_file_atomically(path / kIncompleteMark, "", 0600));
    return making;
  }

  [[nodiscard]] const fs::path& path() const { return path_; }

  /// The mark goes last: without it the folder is whole.
  base::Result<void> finish(const fs::path& to) {
    ZORYA_TRY(settle_for_server(path_, {}));
    std::error_code error;
    fs::remove(path_ / kIncompleteMark, error);
    if (error) return base::errno_error("remove " + path_.string(), error.value());
    ZORYA_TRY(base::sync_path(path_));
    if (::rename(path_.c_str(), to.c_str()) != 0) {
      return base::errno_error("rename to " + to.string(), errno);
    }
    return base::sync_path(to.parent_path());
  }

  void give_up() {
    (void)remove_content();
    ::rmdir(path_.c_str());
  }

 private:
  FolderInMaking(fs::path path, base::UniqueFd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  /// The mark last, so that a removal that is cut short can be taken up again.
  base::Result<void> remove_content() {
    std::error_code error;
    for (fs::directory_iterator it(path_, error), end; !error && it != end; it.increment(error)) {
      if (it->path().filename() == kIncompleteMark) continue;
      std::error_code failed;
      fs::remove_all(it->path(), failed);
      if (failed) return base::errno_error("remove " + it->path().string(), failed.value());
    }
    if (error) return base::errno_error("read folder " + path_.string(), error.value());
    fs::remove(path_ / kIncompleteMark, error);
    return {};
  }

  fs::path path_;
  base::UniqueFd lock_;
};

base::Result<void> copy_cluster(const BackupRequest& request, const fs::path& data,
                                base::Launcher& launcher, const OnProgress& on_progress) {
  base::ChildSpec tool = command_as({}, {(request.postgres_folder / "pg_basebackup").string(),
                                         "--host",
                                         request.socket_folder.string(),
                                         "--port",
                                         "5432",
                                         "--username",
                                         std::string(kBackupRole),
                                         "--no-password",
                                         "--pgdata",
                                         data.string(),
                                         "--format",
                                         "plain",
                                         "--wal-method",
                                         "stream",
                                         "--checkpoint",
                                         "fast",
                                         "--no-sync",
                                         "--progress",
                                         "--label",
                                         "zorya",
                                         "--manifest-checksums",
                                         "SHA256"});
  CopyProgress progress{.step = "copy"};
  const ToolWatch watch{
      .on_line = [&](const std::string& line) { (void)parse_backup_progress(line, &progress); },
      .on_tick = [&](pid_t) { return on_progress(progress); }};
  auto copied = run_tool(launcher, std::move(tool), watch);
  if (copied) return {};
  base::Error error = copied.error();
  if (error.message.find("role \"zorya_backup\" does not exist") != std::string::npos) {
    error.hint = "the cluster was made by a build of zorya that knew no backups";
  } else if (error.message.find("all replication slots are in use") != std::string::npos ||
             error.message.find("max_wal_senders") != std::string::npos) {
    error.hint = "another backup of this cluster is being made";
  }
  return error;
}

base::Result<BackupManifest> fill(const BackupRequest& request, const fs::path& making,
                                  base::Launcher& launcher, const OnProgress& on_progress) {
  BackupManifest manifest{.cluster = request.cluster,
                          .made_at = utc_now(),
                          .template_key = request.template_key,
                          .notes = request.notes};
  ZORYA_ASSIGN(manifest.postgresql, server_version(request.postgres_folder, launcher));
  const fs::path data = making / "data";
  ZORYA_TRY(copy_cluster(request, data, launcher, on_progress));
  ZORYA_ASSIGN(const TreeSize size, measure_tree(data));
  ZORYA_TRY(tell_end("copy", size.size_bytes, on_progress));
  manifest.size_bytes = size.size_bytes;
  manifest.file_count = size.file_count;
  ZORYA_TRY(verify_backup(request.postgres_folder, data, command_as({}, {}), size.size_bytes,
                          launcher, on_progress));
  ZORYA_ASSIGN(manifest.checksum, checksum_of_list(data));
  ZORYA_TRY(
      base::write_file_atomically(making / kBackupManifestName, manifest_text(manifest), 0600));
  return manifest;
}

/// How much a process has read so far; 0 if it does not say.
std::uint64_t bytes_read_by(pid_t pid) {
  const auto text = base::read_file("/proc/" + std::to_string(pid) + "/io", 4096);
  constexpr std::string_view kName = "rchar: ";
  if (!text || !text->starts_with(kName)) return 0;
  std::uint64_t bytes = 0;
  std::from_chars(text->data() + kName.size(), text->data() + text->size(), bytes);
  return bytes;
}

}  // namespace

base::Result<BackupManifest> back_up_to(const BackupRequest& request, base::Launcher& launcher,
                                        const OnProgress& on_progress) {
  ZORYA_ASSIGN(FolderInMaking making, FolderInMaking::take(request.to));
  auto manifest = fill(request, making.path(), launcher, on_progress);
  if (manifest) {
    if (auto finished = making.finish(request.to); finished)
      return manifest;
    else
      manifest = finished.error();
  }
  making.give_up();
  return manifest.error();
}

base::Result<std::string> server_version(const fs::path& postgres_folder,
                                         base::Launcher& launcher) {
  ZORYA_ASSIGN(const auto run,
               launcher.run(command_as({}, {(postgres_folder / "postgres").string(), "--version"}),
                            kVersionTimeout));
  constexpr std::string_view kName = "(PostgreSQL) ";
  const std::size_t at = run.output.find(kName);
  if (at == std::string::npos) {
    return base::Error{base::Code::kInternal, "postgres --version says " + run.output, {}};
  }
  const std::string rest = run.output.substr(at + kName.size());
  return rest.substr(0, rest.find_first_of(" \n"));
}

base::Result<void> verify_backup(const fs::path& postgres_folder, const fs::path& data,
                                 const base::ChildSpec& as, std::uint64_t size_bytes,
                                 base::Launcher& launcher, const OnProgress& on_progress) {
  base::ChildSpec tool = as;
  tool.argv = {(postgres_folder / "pg_verifybackup").string(), "--exit-on-error", "--quiet",
               data.string()};
  const ToolWatch watch{.on_tick = [&](pid_t pid) {
    const std::uint64_t done_bytes = std::min(bytes_read_by(pid), size_bytes);
    return on_progress({"verify", done_bytes, size_bytes});
  }};
  ZORYA_TRY(run_tool(launcher, std::move(tool), watch));
  return tell_end("verify", size_bytes, on_progress);
}

base::Result<void> tell_end(std::string_view step, std::uint64_t size_bytes,
                            const OnProgress& on_progress) {
  if (on_progress({step, size_bytes, size_bytes})) return {};
  return base::Error{base::Code::kUnavailable, std::string(step) + ": stopped", {}};
}

base::Result<TreeSize> measure_tree(const fs::path& root) {
  TreeSize size;
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code failed;
    const fs::file_status status = it->symlink_status(failed);
    if (fs::is_directory(status)) continue;
    if (!fs::is_regular_file(status)) {
      return base::Error{base::Code::kInvalidArgument,
                         it->path().string() + " is neither file nor folder",
                         "a backup has no links and no tablespaces"};
    }
    size.size_bytes += it->file_size(failed);
    if (failed) return base::errno_error("look at " + it->path().string(), failed.value());
    ++size.file_count;
  }
  if (error) return base::errno_error("read folder " + root.string(), error.value());
  return size;
}

bool parse_backup_progress(std::string_view line, CopyProgress* progress) {
  constexpr std::uint64_t kUnit = 1024;
  const std::size_t begin = line.find_first_not_of(' ');
  if (begin == std::string_view::npos || line.find(" kB (") == std::string_view::npos) return false;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  const char* const end = line.data() + line.size();
  const auto first = std::from_chars(line.data() + begin, end, done);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '/') return false;
  const auto second = std::from_chars(first.ptr + 1, end, total);
  if (second.ec != std::errc{} || total > UINT64_MAX / kUnit || done > UINT64_MAX / kUnit) {
    return false;
  }
  progress->done_bytes = done * kUnit;
  progress->total_bytes = total * kUnit;
  return true;
}

}  // namespace zorya::cluster
