#include "cluster/restore.h"

#include "base/files.h"
#include "base/unique_fd.h"
#include "cluster/account.h"
#include "cluster/backup.h"
#include "cluster/folders.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <vector>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunk = 1u << 20;
constexpr std::chrono::minutes kRecoveryTimeout{10};
constexpr std::chrono::seconds kStopTimeout{60};

base::Error stopped() { return {base::Code::kUnavailable, "restore: stopped", {}}; }

/// The version that this zorya's servers can read.
base::Result<void> check_version(const RestoreRequest& request, base::Launcher& launcher) {
  ZORYA_ASSIGN(const std::string text, base::read_file(request.from / "data" / "PG_VERSION", 64));
  const std::string backup = text.substr(0, text.find('\n'));
  ZORYA_ASSIGN(const std::string installed, server_version(request.postgres_folder, launcher));
  if (installed.starts_with(backup + ".")) return {};
  return base::Error{base::Code::kFailedPrecondition,
                     "the backup is of PostgreSQL " + backup + ", installed is " + installed,
                     {}};
}

/// Copies one file, telling how far all of it is.
class Copier {
 public:
  Copier(std::uint64_t total_bytes, const OnProgress& on_progress)
      : on_progress_(on_progress), progress_{"copy", 0, total_bytes}, buffer_(kChunk) {}

  base::Result<void> copy(const fs::path& from, const fs::path& to) {
    const base::UniqueFd in(::open(from.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!in) return base::errno_error("read " + from.string(), errno);
    const base::UniqueFd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!out) return base::errno_error("write " + to.string(), errno);
    while (true) {
      const ssize_t got = ::read(in.get(), buffer_.data(), buffer_.size());
      if (got < 0) return base::errno_error("read " + from.string(), errno);
      if (got == 0) return {};
      const char* rest = buffer_.data();
      for (ssize_t left = got; left > 0;) {
        const ssize_t put = ::write(out.get(), rest, static_cast<std::size_t>(left));
        if (put < 0) return base::errno_error("write " + to.string(), errno);
        rest += put;
        left -= put;
      }
      progress_.done_bytes += static_cast<std::uint64_t>(got);
      if (!on_progress_(progress_)) return stopped();
    }
  }

 private:
  const OnProgress& on_progress_;
  CopyProgress progress_;
  std::vector<char> buffer_;
};

base::Result<void> copy_data(const fs::path& from, const fs::path& to, std::uint64_t total_bytes,
                             const OnProgress& on_progress) {
  Copier copier(total_bytes, on_progress);
  std::error_code error;
  for (fs::recursive_directory_iterator it(from, error), end; !error && it != end;
       it.increment(error)) {
    const fs::path target = to / it->path().lexically_relative(from);
    std::error_code failed;
    if (it->is_directory(failed)) {
      ZORYA_TRY(base::make_folder(target, 0700));
    } else {
      ZORYA_TRY(copier.copy(it->path(), target));
    }
  }
  if (error) return base::errno_error("read folder " + from.string(), error.value());
  return {};
}

/// What would steer the server from within its folder is put back to what a new cluster has.
base::Result<void> make_ordinary(const fs::path& data) {
  for (const char* name : {"postgresql.conf", "postgresql.auto.conf"}) {
    ZORYA_TRY(
        base::write_file_atomically(data / name, "# Settings are given at the start.\n", 0600));
  }
  std::error_code error;
  for (const std::string_view name :
       {std::string_view("standby.signal"), std::string_view("recovery.signal"), kFileListName}) {
    fs::remove(data / name, error);
    if (error) return base::errno_error("remove " + (data / name).string(), error.value());
  }
  return {};
}

/// The proof that it serves, before it has a name.
base::Result<void> start_once(const ServerSpec& spec, base::Launcher& launcher,
                              const OnProgress& on_progress) {
  if (!on_progress({"start", 0, 0})) return stopped();
  ServerLog log(spec.log_file);
  ZORYA_ASSIGN(Server server, Server::start(spec, launcher, log));
  ZORYA_TRY(server.wait_until_serving(kAdminRole, kRecoveryTimeout, -1));
  server.stop(kStopTimeout);
  std::error_code ignored;
  fs::remove_all(spec.socket_folder, ignored);
  return {};
}

}  // namespace

base::Result<BackupManifest> restore_to(const RestoreRequest& request, base::Launcher& launcher,
                                        const OnProgress& on_progress) {
  ZORYA_ASSIGN(BackupManifest manifest, read_manifest(request.from));
  ZORYA_TRY(check_version(request, launcher));
  const fs::path from = request.from / "data";
  ZORYA_ASSIGN(const TreeSize size, measure_tree(from));
  ZORYA_ASSIGN(const std::string checksum, checksum_of_list(from));
  if (checksum != manifest.checksum || size.file_count != manifest.file_count) {
    return base::Error{base::Code::kInvalidArgument,
                       request.from.string() + " is broken: its files are not those that " +
                           std::string(kBackupManifestName) + " tells of",
                       {}};
  }

  const Account& account = request.server.account;
  const fs::path data = request.making / "data";
  ZORYA_TRY(base::make_folder(request.making, account.is_other() ? 0711 : 0700));
  ZORYA_TRY(make_server_folder(data, account, 0700));
  ZORYA_TRY(copy_data(from, data, size.size_bytes, on_progress));
  ZORYA_TRY(tell_end("copy", size.size_bytes, on_progress));
  ZORYA_TRY(settle_for_server(data, account));
  // The copy is read again, not the backup: what was read wrongly is found as well.
  auto verified = verify_backup(request.postgres_folder, data, command_as(account, {}),
                                size.size_bytes, launcher, on_progress);
  if (!verified) return verified.error().with_context(request.from.string() + " is broken");
  ZORYA_TRY(make_ordinary(data));
  ZORYA_TRY(base::write_file_atomically(request.making / "template", manifest.template_key, 0600));
  ZORYA_TRY(settle_for_server(data, account));
  auto started = start_once(request.server, launcher, on_progress);
  if (!started) return started.error().with_context("start the restored cluster");
  ZORYA_TRY(settle_for_server(data, account));
  ZORYA_TRY(tell_end("start", size.size_bytes, on_progress));
  return manifest;
}

}  // namespace zorya::cluster
