#include "cluster/folders.h"

#include "base/files.h"
#include "base/hash.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;
using base::errno_error;

constexpr std::string_view kSocketName = "/.s.PGSQL.5432";

base::Result<void> give_to(const fs::path& path, const Account& account) {
  if (account.is_other() && ::lchown(path.c_str(), *account.uid, *account.gid) != 0) {
    return errno_error("give " + path.string() + " to the server's user", errno);
  }
  return {};
}

/// A parent that the server's user cannot pass: it needs x for others (or ownership or group, which
/// the user postgres has of none of them).
base::Result<void> check_passable(const fs::path& data_folder) {
  for (fs::path folder = data_folder.parent_path();; folder = folder.parent_path()) {
    struct stat info {};
    if (::stat(folder.c_str(), &info) != 0) return errno_error("look at " + folder.string(), errno);
    if ((info.st_mode & S_IXOTH) == 0) {
      return base::Error{base::Code::kPermissionDenied,
                         "the database's user postgres cannot pass through " + folder.string(),
                         "use another data folder (--data), or chmod o+x " + folder.string()};
    }
    if (folder == folder.root_path()) return {};
  }
}

}  // namespace

base::Result<void> make_server_folder(const fs::path& path, const Account& account, mode_t mode) {
  ZORYA_TRY(base::make_folder(path, mode));
  return give_to(path, account);
}

base::Result<fs::path> prepare_clusters_folder(const fs::path& data_folder,
                                               const Account& account) {
  const mode_t mode = account.is_other() ? 0711 : 0700;
  const fs::path clusters = data_folder / "clusters";
  ZORYA_TRY(base::make_folder(clusters, mode));
  std::error_code error;
  const fs::path resolved = fs::canonical(clusters, error);
  if (error) return errno_error("resolve " + clusters.string(), error.value());
  if (!account.is_other()) return resolved;

  const fs::path parent = resolved.parent_path();
  struct stat info {};
  if (::stat(parent.c_str(), &info) != 0) return errno_error("look at " + parent.string(), errno);
  if ((info.st_mode & S_IXOTH) == 0 &&
      ::chmod(parent.c_str(), (info.st_mode & 07777) | 0011) != 0) {
    return errno_error("chmod " + parent.string(), errno);
  }
  ZORYA_TRY(check_passable(parent));
  return resolved;
}

base::Result<void> settle_for_server(const fs::path& root, const Account& account) {
  ZORYA_TRY(give_to(root, account));
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end;
       it.increment(error)) {
    ZORYA_TRY(give_to(it->path(), account));
  }
  if (error) return errno_error("read folder " + root.string(), error.value());
  // One call for some 400 small files: a sync for each took 1.1 s where this takes 0.2 s.
  const base::UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::syncfs(fd.get()) != 0) return errno_error("sync " + root.string(), errno);
  return {};
}

base::Result<void> copy_for_server(const fs::path& from, const fs::path& to,
                                   const Account& account) {
  auto copied = base::copy_tree(from, to);
  if (copied) copied = settle_for_server(to, account);
  if (!copied) {
    std::error_code ignored;
    fs::remove_all(to, ignored);
  }
  return copied;
}

fs::path socket_folder_of(const fs::path& cluster_folder) {
  fs::path beside = cluster_folder / "run";
  if (beside.native().size() + kSocketName.size() < sizeof(sockaddr_un::sun_path)) return beside;
  const std::string name = "zorya-" + base::to_hex(base::fnv1a_128(cluster_folder.native()));
  if (::geteuid() == 0) return fs::path("/run") / name;
  if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime == '/') {
    fs::path folder = fs::path(runtime) / name;
    if (folder.native().size() + kSocketName.size() < sizeof(sockaddr_un::sun_path)) return folder;
  }
  return fs::path("/tmp") / name;
}

base::Result<void> prepare_socket_folder(const fs::path& folder, const Account& account) {
  const std::string what = "make the socket folder " + folder.string();
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(what, errno);
  // Opened without following links: under /tmp another user may have put one there.
  base::UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return errno_error(what, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return errno_error(what, errno);
  const uid_t user = account.uid.value_or(::geteuid());
  if (info.st_uid != user && info.st_uid != ::geteuid()) {
    return base::Error{base::Code::kPermissionDenied, what + ": it belongs to another user", {}};
  }
  if (account.is_other() && ::fchown(fd.get(), user, *account.gid) != 0) {
    return errno_error(what, errno);
  }
  if (::fchmod(fd.get(), 0700) != 0) return errno_error(what, errno);
  return {};
}

}  // namespace zorya::cluster
