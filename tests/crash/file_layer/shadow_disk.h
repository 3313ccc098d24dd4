#pragma once

#include <cstdint>
#include <string>

namespace zorya::file_layer {

/// What a power cut leaves of a folder. The folder itself holds what the page cache would hold: all
/// that was written. Beside it, `shadow` holds what is on the disk: what was synced. A sync copies
/// from the one to the other; a power cut puts the folder back to what the shadow holds.
///
/// The model is that of Linux' journaling file systems, on their strict side:
/// - content and length of a file are on the disk when it was synced, and not before;
/// - a new file's first sync also puts its name there, and the folders above it;
/// - any other change of names (rename, remove, link) is there when its folder was synced.
/// A file whose name is there and whose content was never synced is empty.
///
/// In the shadow: `files/<inode and time of birth>` is content, `names/` is the tree, of hard links
/// to these. Several processes may sync at once; a process may be killed at any moment.
class ShadowDisk {
 public:
  /// Absolute paths without links in them.
  ShadowDisk(std::string folder, std::string shadow)
      : folder_(std::move(folder)), shadow_(std::move(shadow)) {}

  /// Everything that is in the folder now is on the disk. 0 or an errno, as all that follow.
  int begin() const;

  /// fsync or fdatasync of an open file or folder; what lies elsewhere is nothing to us.
  int sync_descriptor(int fd) const;

  /// syncfs and sync.
  int sync_all() const;

  /// True if the descriptor is of something below the folder; `path` is then where.
  bool is_ours(int fd, std::string* path) const;

  /// With kSome a part of what was not synced is on the disk as well: a cache may be written back
  /// at any time and in any order, a sector of 512 bytes at a time. Names then are those of the
  /// disk or all those that the folder has.
  enum class Unsynced { kNone, kSome };

  struct Cut {
    std::int64_t sectors_lost = 0;  // written and not there any more
    std::int64_t sectors_kept = 0;  // not synced and there all the same
    std::int64_t names_lost = 0;    // files that are not there any more
  };
  /// The power cut: puts the folder back and begins again. Nobody may have a file of it open.
  int cut(std::uint64_t seed, Unsynced unsynced, Cut* done) const;

 private:
  [[nodiscard]] std::string files() const { return shadow_ + "/files"; }
  [[nodiscard]] std::string names() const { return shadow_ + "/names"; }
  [[nodiscard]] std::string name_of(const std::string& path) const {
    return names() + path.substr(folder_.size());
  }

  /// The synced content of a file of the folder.
  [[nodiscard]] std::string content_of(const std::string& path) const;

  int sync_file(int fd, const std::string& path) const;
  int sync_folder(const std::string& path) const;
  int sync_tree(const std::string& path) const;
  int enter_name(const std::string& file, const std::string& name) const;

  std::string folder_;
  std::string shadow_;
};

}  // namespace zorya::file_layer
