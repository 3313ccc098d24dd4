#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace zorya::base {

/// The whole file, up to `size_bytes_max`; a longer one is kResourceExhausted.
Result<std::string> read_file(const std::filesystem::path& path,
                              std::size_t size_bytes_max = 64u << 20);

/// Replaces `path` by `content` so that a reader sees the old or the new file, and a crash leaves
/// one of them: written beside it with `mode`, synced, renamed, folder synced.
Result<void> write_file_atomically(const std::filesystem::path& path, std::string_view content,
                                   mode_t mode);

/// Makes `path` and its parents; the last one has `mode` (also if it was there) and is owned by us.
Result<void> make_folder(const std::filesystem::path& path, mode_t mode);

/// Copies a folder tree: files, folders, links, modes; not owners. `to` must not exist.
Result<void> copy_tree(const std::filesystem::path& from, const std::filesystem::path& to);

/// fsync of a file or folder.
Result<void> sync_path(const std::filesystem::path& path);

/// Takes an exclusive lock on `path` (made if absent, 0600) for as long as the descriptor lives,
/// and writes our pid into it. kFailedPrecondition says which pid holds it.
Result<UniqueFd> lock_file(const std::filesystem::path& path);

/// The folder of the running program: /proc/self/exe resolved, less its last part.
std::filesystem::path program_folder();

}  // namespace zorya::base
