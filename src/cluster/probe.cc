#include "cluster/probe.h"

#include "cluster/connection.h"

namespace zorya::cluster {

base::Result<void> probe_login(const std::filesystem::path& socket_folder, std::string_view role,
                               std::chrono::milliseconds timeout) {
  ZORYA_TRY(Connection::open(socket_folder, role, timeout));
  return {};
}

}  // namespace zorya::cluster
