#include "cli/watcher.h"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace zorya::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                  IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF;
constexpr std::size_t kMaxFolders = 20'000;

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
  return hash * 1099511628211u;
}

std::uint64_t hash_text(const std::string& text) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

}  // namespace

bool is_ignored_name(const std::string& name) {
  return name == "__pycache__" || name == ".git" || name == ".aws-sam" || name.ends_with("~") ||
         name.ends_with(".swp") || name.ends_with(".swx") || name.ends_with(".pyc") ||
         name.starts_with(".#") || name == "4913";  // vim's probe whether it may write
}

base::Result<Watcher> Watcher::create() {
  base::UniqueFd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify) {
    base::Error error = base::errno_error("watch files", errno);
    error.hint = "raise fs.inotify.max_user_instances";
    return error;
  }
  return Watcher(std::move(inotify));
}

base::Result<void> Watcher::add_folder(const fs::path& folder) {
  const int watch = ::inotify_add_watch(inotify_.get(), folder.c_str(), kEvents | IN_ONLYDIR);
  if (watch < 0 && (errno == ENOENT || errno == ENOTDIR)) return {};  // gone meanwhile
  if (watch < 0) {
    base::Error error = base::errno_error("watch " + folder.string(), errno);
    if (errno == ENOSPC) error.hint = "raise fs.inotify.max_user_watches";
    return error;
  }
  folders_[watch] = folder;
  if (folders_.size() > kMaxFolders) {
    return base::Error{
        base::Code::kResourceExhausted,
        "more than " + std::to_string(kMaxFolders) + " folders to watch below " + folder.string(),
        {}};
  }
  return {};
}

base::Result<void> Watcher::add_tree(const fs::path& folder) {
  if (folder == watched_.except) return {};
  ZORYA_TRY(add_folder(folder));
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code ignored;
    if (!entry.is_directory(ignored) || entry.is_symlink(ignored)) continue;
    if (is_ignored_name(entry.path().filename().string())) continue;
    ZORYA_TRY(add_tree(entry.path()));
  }
  return {};
}

base::Result<void> Watcher::watch(const Watched& watched) {
  watched_ = watched;
  // What is watched already keeps its descriptor; what is not any more goes.
  std::map<int, fs::path> before;
  std::swap(before, folders_);
  for (const fs::path& folder : watched.folders) ZORYA_TRY(add_tree(folder));
  ZORYA_TRY(add_folder(watched.file.parent_path()));
  template_folder_ =
      ::inotify_add_watch(inotify_.get(), watched.file.parent_path().c_str(), kEvents);
  for (const auto& [watch, folder] : before) {
    if (!folders_.contains(watch)) ::inotify_rm_watch(inotify_.get(), watch);
  }
  return {};
}

bool Watcher::drain() {
  bool changed = false;
  alignas(inotify_event) char buffer[65536];
  while (true) {
    const ssize_t got = ::read(inotify_.get(), buffer, sizeof buffer);
    if (got <= 0) return changed;
    for (const char* at = buffer; at < buffer + got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      if ((event->mask & IN_Q_OVERFLOW) != 0) changed = true;
      const auto folder = folders_.find(event->wd);
      if (folder == folders_.end()) continue;
      const std::string name = event->len > 0 ? event->name : "";
      if (is_ignored_name(name)) continue;
      const fs::path path = folder->second / name;
      const bool in_code =
          std::any_of(watched_.folders.begin(), watched_.folders.end(), [&](const fs::path& code) {
            const fs::path below = path.lexically_relative(code);
            return !below.empty() && *below.begin() != "..";
          });
      const bool is_new_folder =
          (event->mask & IN_ISDIR) != 0 && (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0;
      if (in_code && is_new_folder && !add_tree(path)) changed = true;
      if (path == watched_.except) continue;
      if (in_code || path == watched_.file) changed = true;
    }
  }
}

std::uint64_t tree_signature(const fs::path& folder, const fs::path& except) {
  // A sum, so that the order in which the file system lists does not matter.
  std::uint64_t sum = 0;
  std::error_code error;
  fs::recursive_directory_iterator walk(folder, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    const fs::path& path = walk->path();
    if (is_ignored_name(path.filename().string()) || path == except) {
      walk.disable_recursion_pending();
      continue;
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) continue;
    std::uint64_t one = hash_text(path.lexically_relative(folder).string());
    one = mix(one, status.st_mode);
    if (!S_ISDIR(status.st_mode)) {
      one = mix(one, static_cast<std::uint64_t>(status.st_size));
      one = mix(one, static_cast<std::uint64_t>(status.st_mtim.tv_sec));
      one = mix(one, static_cast<std::uint64_t>(status.st_mtim.tv_nsec));
    }
    sum += one;
  }
  return sum;
}

}  // namespace zorya::cli
