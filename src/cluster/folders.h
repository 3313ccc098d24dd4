#pragma once

#include "base/result.h"
#include "cluster/account.h"

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace zorya::cluster {

/// Makes `path` if it is absent, with `mode` and owned by the server's user.
base::Result<void> make_server_folder(const std::filesystem::path& path, const Account& account,
                                      mode_t mode);

/// Makes data_folder/clusters and sees to it that the server's user can pass through, not look
/// into, it and `data_folder`. Folders above are not ours: kPermissionDenied names the one that is
/// closed.
base::Result<std::filesystem::path> prepare_clusters_folder(
    const std::filesystem::path& data_folder, const Account& account);

/// Gives every file and folder of a tree to the server's user and syncs the file system they are
/// on.
base::Result<void> settle_for_server(const std::filesystem::path& root, const Account& account);

/// Copies a folder tree for the server's user and syncs every file and folder of it, so that a
/// rename of `to` afterwards is all or nothing. What was begun is removed on error.
base::Result<void> copy_for_server(const std::filesystem::path& from,
                                   const std::filesystem::path& to, const Account& account);

/// Where a server's socket lies: `<cluster_folder>/run`, or, where that is too long for a socket's
/// address, a folder of the same purpose under /run (root), $XDG_RUNTIME_DIR or /tmp.
std::filesystem::path socket_folder_of(const std::filesystem::path& cluster_folder);

/// Makes the socket folder, 0700, for the server's user. kPermissionDenied when somebody else's
/// folder or link is in its place.
base::Result<void> prepare_socket_folder(const std::filesystem::path& folder,
                                         const Account& account);

}  // namespace zorya::cluster
