#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace zorya::cli {

/// What to watch.
struct Watched {
  std::filesystem::path file{};                  // the template
  std::vector<std::filesystem::path> folders{};  // code, with all below
  std::filesystem::path except{};                // the data folder, should it lie below one of them
};

/// Tells whether watched files changed, by inotify: the kernel queues an event before the writer's
/// close(2) returns, so that a request made after a change never misses it. One thread at a time.
class Watcher {
 public:
  static base::Result<Watcher> create();

  /// Replaces what is watched. An error says which limit of the system is reached.
  base::Result<void> watch(const Watched& watched);

  /// Readable (poll) when there may be changes. Borrowed.
  [[nodiscard]] int fd() const { return inotify_.get(); }

  /// Takes the events that wait: whether one of them is of a watched file. Does not block.
  bool drain();

 private:
  explicit Watcher(base::UniqueFd inotify) : inotify_(std::move(inotify)) {}
  base::Result<void> add_tree(const std::filesystem::path& folder);
  base::Result<void> add_folder(const std::filesystem::path& folder);

  base::UniqueFd inotify_;
  Watched watched_;
  std::map<int, std::filesystem::path> folders_;  // by watch descriptor
  int template_folder_ = -1;
};

/// Whether a name is one that editors and interpreters make beside the sources.
bool is_ignored_name(const std::string& name);

/// A number that changes when a file below `folder` is added, removed, changed or gets another
/// mode: of paths, sizes, modes and times, not of content.
std::uint64_t tree_signature(const std::filesystem::path& folder,
                             const std::filesystem::path& except);

}  // namespace zorya::cli
