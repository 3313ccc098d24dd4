#pragma once

#include "base/result.h"

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace zorya::cli {

/// A cluster as a client reaches it.
struct ReachableCluster {
  std::string id{};
  std::string logical_id{};  // empty: only named by its endpoint
  std::string endpoint{};    // the name
  std::string host{};        // an IP address
  std::uint16_t port = 0;
  std::string region{};
  bool is_restored = false;  // made of a backup, and no template names it
};

struct RunningFunction {
  std::string logical_id{};
  std::string name{};
  std::string log_group{};
};

/// What a running instance tells other processes: instance.json (0600, no secrets) and, with the
/// keys, the ready file.
struct InstanceInfo {
  pid_t pid = 0;
  std::string api_url{};
  std::vector<ReachableCluster> dsql{};
  std::vector<RunningFunction> functions{};
  std::string ca_file{};
  std::string region{};
  std::string stack{};
};

std::string instance_text(const InstanceInfo& info);
base::Result<InstanceInfo> parse_instance(std::string_view text);

/// The JSON of a ready file: api_url, dsql, ca_file, access_key_id, secret_access_key, region, pid.
struct ReadyKeys {
  std::string access_key_id;
  std::string secret_access_key;
};
std::string ready_text(const InstanceInfo& info, const ReadyKeys& keys);

/// The running instance of a data folder; kUnavailable if none runs there.
base::Result<InstanceInfo> find_instance(const std::filesystem::path& data_folder);

/// The cluster of that id or logical id; with an empty name the only one, or the only one that is
/// not restored. Errors name the choices.
base::Result<ReachableCluster> choose_cluster(const InstanceInfo& info, std::string_view name);
/// The function of that name or logical id. Errors name the choices.
base::Result<RunningFunction> choose_function(const InstanceInfo& info, std::string_view name);

}  // namespace zorya::cli
