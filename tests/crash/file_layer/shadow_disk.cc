#include "shadow_disk.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace zorya::file_layer {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSector = 512;
constexpr std::size_t kChunk = 256 * kSector * 2;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

/// Numbers of inodes are used again; with the time of birth they are not.
std::string key_of(int folder, const char* name) {
  struct statx info {};
  const int flags = *name == '\0' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  if (::statx(folder, name, flags, STATX_INO | STATX_BTIME, &info) != 0) return {};
  return std::to_string(info.stx_ino) + "-" + std::to_string(info.stx_btime.tv_sec) + "." +
         std::to_string(info.stx_btime.tv_nsec);
}

ino_t inode_of(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

int make_folders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return error.value();
}

/// Copies all of an open file onto another one.
int copy_content(int from, int to) {
  std::vector<char> buffer(kChunk);
  off_t offset = 0;
  while (true) {
    const ssize_t got = ::pread(from, buffer.data(), buffer.size(), offset);
    if (got < 0) return errno;
    if (got == 0) break;
    const auto size = static_cast<std::size_t>(got);
    if (::pwrite(to, buffer.data(), size, offset) != got) return errno != 0 ? errno : EIO;
    offset += got;
  }
  return ::ftruncate(to, offset) == 0 ? 0 : errno;
}

int read_whole(const std::string& path, std::string* content) {
  content->clear();
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return errno;
  std::vector<char> buffer(kChunk);
  ssize_t got = 0;
  while ((got = ::read(fd.get(), buffer.data(), buffer.size())) > 0) {
    content->append(buffer.data(), static_cast<std::size_t>(got));
  }
  return got == 0 ? 0 : errno;
}

/// As root the server's files belong to another user: the folder's.
int give(const std::string& path, const struct stat& owner) {
  if (::geteuid() != 0) return 0;
  return ::lchown(path.c_str(), owner.st_uid, owner.st_gid) == 0 ? 0 : errno;
}

int write_whole(const std::string& path, const std::string& content, const struct stat& owner) {
  const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return errno;
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t put = ::write(fd.get(), content.data() + done, content.size() - done);
    if (put < 0) return errno;
    done += static_cast<std::size_t>(put);
  }
  return give(path, owner);
}

/// Paths below `root`, relative to it: folders before what is in them.
struct Tree {
  std::vector<std::string> folders;
  std::vector<std::string> files;
};

int list_tree(const std::string& root, Tree* tree) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end;
       it.increment(error)) {
    const std::string relative = it->path().string().substr(root.size());
    (it->is_directory() ? tree->folders : tree->files).push_back(relative);
  }
  std::sort(tree->files.begin(), tree->files.end());  // of a seed the same cut each time
  return error.value();
}

/// One file at a power cut: the synced content, with some of the unsynced sectors as `take` says.
class Tearing {
 public:
  Tearing(std::uint64_t seed, ShadowDisk::Unsynced unsynced, ShadowDisk::Cut* done)
      : random_(seed), some_(unsynced == ShadowDisk::Unsynced::kSome), done_(done) {}

  /// Whether all names are as the folder has them.
  bool keeps_names() { return some_ && random_() % 2 == 0; }

  std::string mix(std::string synced, const std::string& written) {
    const unsigned percent = some_ ? static_cast<unsigned>(random_() % 101) : 0;
    const bool keeps_length = some_ && random_() % 2 == 0;
    const std::size_t synced_size = synced.size();
    if (keeps_length) synced.resize(written.size());
    const std::size_t end = std::min(synced.size(), written.size());
    for (std::size_t at = 0; at < end; at += kSector) {
      const std::size_t size = std::min(kSector, end - at);
      if (std::memcmp(synced.data() + at, written.data() + at, size) == 0) continue;
      if (random_() % 100 < percent) {
        std::memcpy(synced.data() + at, written.data() + at, size);
        ++done_->sectors_kept;
      } else {
        ++done_->sectors_lost;
      }
    }
    if (!keeps_length && written.size() > synced_size) {
      done_->sectors_lost += static_cast<std::int64_t>((written.size() - synced_size) / kSector);
    }
    return synced;
  }

 private:
  std::mt19937_64 random_;
  bool some_;
  ShadowDisk::Cut* done_;
};

}  // namespace

bool ShadowDisk::is_ours(int fd, std::string* path) const {
  char target[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), target, sizeof target);
  if (length <= 0) return false;
  path->assign(target, static_cast<std::size_t>(length));
  return *path == folder_ || path->starts_with(folder_ + "/");
}

std::string ShadowDisk::content_of(const std::string& path) const {
  return fs::path(files()) / key_of(AT_FDCWD, path.c_str());
}

int ShadowDisk::begin() const {
  struct stat owner {};
  if (::stat(folder_.c_str(), &owner) != 0) return errno;
  std::error_code error;
  fs::remove_all(shadow_, error);
  if (error) return error.value();
  for (const std::string& folder : {shadow_, files(), names()}) {
    if (const int failed = make_folders(folder)) return failed;
  }
  if (const int failed = sync_tree(folder_)) return failed;
  // The server's processes write here from now on.
  Tree tree;
  if (const int failed = list_tree(shadow_, &tree)) return failed;
  if (const int failed = give(shadow_, owner)) return failed;
  for (const auto* list : {&tree.folders, &tree.files}) {
    for (const std::string& path : *list) {
      if (const int failed = give(shadow_ + path, owner)) return failed;
    }
  }
  return 0;
}

int ShadowDisk::sync_descriptor(int fd) const {
  std::string path;
  if (!is_ours(fd, &path)) return 0;
  struct stat info {};
  if (::fstat(fd, &info) != 0) return errno;
  if (info.st_nlink == 0) return 0;  // removed: nobody can find it again
  return S_ISDIR(info.st_mode) ? sync_folder(path) : sync_file(fd, path);
}

int ShadowDisk::sync_all() const { return sync_tree(folder_); }

int ShadowDisk::sync_tree(const std::string& path) const {
  Tree tree;
  if (const int failed = list_tree(path, &tree)) return failed;
  for (const std::string& name : tree.files) {
    const Descriptor fd(::open((path + name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd && errno == ENOENT) continue;
    if (!fd) return errno;
    if (const int failed = sync_file(fd.get(), path + name)) return failed;
  }
  tree.folders.insert(tree.folders.begin(), "");
  for (const std::string& name : tree.folders) {
    if (const int failed = sync_folder(path + name)) return failed;
  }
  return 0;
}

int ShadowDisk::sync_file(int fd, const std::string& path) const {
  const std::string file = fs::path(files()) / key_of(fd, "");
  // Another process's copy of older bytes must not come after ours of newer ones.
  const Descriptor to(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!to || ::flock(to.get(), LOCK_EX) != 0) return errno;
  const std::string open_path = "/proc/self/fd/" + std::to_string(fd);  // it may be write-only
  const Descriptor from(::open(open_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from) return errno;
  if (const int failed = copy_content(from.get(), to.get())) return failed;
  struct stat info {};
  if (::fstat(to.get(), &info) != 0) return errno;
  return info.st_nlink > 1 ? 0 : enter_name(file, name_of(path));
}

/// In one step, as the name of another file may be there.
int ShadowDisk::enter_name(const std::string& file, const std::string& name) const {
  if (const int failed = make_folders(fs::path(name).parent_path().string())) return failed;
  const std::string entering = shadow_ + "/entering-" + std::to_string(::getpid());
  ::unlink(entering.c_str());
  if (::link(file.c_str(), entering.c_str()) != 0) return errno;
  // It may be a folder that was put in the place of a file, or the other way round.
  if (::rename(entering.c_str(), name.c_str()) == 0) return 0;
  std::error_code error;
  fs::remove_all(name, error);
  return ::rename(entering.c_str(), name.c_str()) == 0 ? 0 : errno;
}

int ShadowDisk::sync_folder(const std::string& path) const {
  const std::string synced = name_of(path);
  if (const int failed = make_folders(synced)) return failed;
  const Descriptor lock(::open(synced.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0) return errno;
  std::set<std::string> present;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    present.insert(name);
    if (it->is_directory()) {
      if (const int failed = make_folders(fs::path(synced) / name)) return failed;
      continue;
    }
    const std::string key = key_of(AT_FDCWD, it->path().c_str());
    if (key.empty()) continue;  // gone meanwhile
    const std::string file = fs::path(files()) / key;
    const std::string synced_name = fs::path(synced) / name;
    const Descriptor made(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!made) return errno;
    if (inode_of(file) == inode_of(synced_name)) continue;
    if (const int failed = enter_name(file, synced_name)) return failed;
  }
  if (error) return error.value();
  for (fs::directory_iterator it(synced, error), end; !error && it != end; it.increment(error)) {
    if (present.contains(it->path().filename().string())) continue;
    fs::remove_all(it->path(), error);
  }
  return error.value();
}

int ShadowDisk::cut(std::uint64_t seed, Unsynced unsynced, Cut* done) const {
  struct stat owner {};
  if (::stat(folder_.c_str(), &owner) != 0) return errno;
  Tree live;
  Tree synced;
  if (const int failed = list_tree(folder_, &live)) return failed;
  if (const int failed = list_tree(names(), &synced)) return failed;
  std::map<ino_t, std::string> written;  // inode of its synced content → path in the folder
  for (const std::string& name : live.files) {
    const std::string path = folder_ + name;
    if (const ino_t inode = inode_of(content_of(path))) written[inode] = path;
  }

  Tearing tearing(seed, unsynced, done);
  const bool keeps_names = tearing.keeps_names();
  const Tree& after = keeps_names ? live : synced;
  std::map<std::string, std::string> contents;
  for (const std::string& name : after.files) {
    const std::string path = folder_ + name;
    const std::string file = keeps_names ? content_of(path) : name_of(path);
    std::string content;
    if (const int failed = read_whole(file, &content); failed != 0 && failed != ENOENT) {
      return failed;
    }
    std::string newer = content;
    if (keeps_names) {
      if (const int failed = read_whole(path, &newer)) return failed;
    } else if (const auto found = written.find(inode_of(file)); found != written.end()) {
      if (const int failed = read_whole(found->second, &newer)) return failed;
    }
    contents[name] = tearing.mix(std::move(content), newer);
  }
  for (const std::string& name : live.files) done->names_lost += contents.contains(name) ? 0 : 1;

  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    fs::remove_all(it->path(), error);
  }
  if (error) return error.value();
  for (const std::string& name : after.folders) {
    if (::mkdir((folder_ + name).c_str(), 0700) != 0) return errno;
    if (const int failed = give(folder_ + name, owner)) return failed;
  }
  for (const auto& [name, content] : contents) {
    if (const int failed = write_whole(folder_ + name, content, owner)) return failed;
  }
  return begin();
}

}  // namespace zorya::file_layer
