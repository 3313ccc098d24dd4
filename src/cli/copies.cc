#include "cli/copies.h"

#include "cli/instance_file.h"

#include <algorithm>

namespace zorya::cli {
namespace {

constexpr std::size_t kNameBytesMax = 255;

/// As choose_cluster takes them: those that no template names count as the restored ones do, and
/// have no logical id.
InstanceInfo known_clusters(const cluster::Clusters& clusters, const State& state) {
  InstanceInfo known;
  for (const cluster::ClusterInfo& one : clusters.list()) {
    std::string logical_id;
    bool is_named = false;
    for (const auto& [stack, resources] : state.stacks) {
      for (const auto& [key, resource] : resources) {
        if (resource.type != kClusterType || resource.id != one.id || resource.is_left) continue;
        is_named = true;
        if (key != one.id) logical_id = key;
      }
    }
    known.dsql.push_back({one.id, logical_id, one.endpoint, {}, 0, {}, !is_named});
  }
  return known;
}

base::Result<std::string> choose(const cluster::Clusters& clusters, const State& state,
                                 const std::string& name) {
  const InstanceInfo known = known_clusters(clusters, state);
  const auto chosen = choose_cluster(known, name);
  if (chosen) return chosen->id;
  if (!name.empty()) return chosen.error();
  std::string ids;
  for (const ReachableCluster& one : known.dsql) ids += (ids.empty() ? "" : ", ") + one.id;
  return base::Error{base::Code::kInvalidArgument,
                     ids.empty() ? "there is no cluster" : "say which cluster: " + ids,
                     {}};
}

/// So that a restore into an empty data folder can be what this was.
std::map<std::string, std::string> notes_of(const State& state, const std::string& id) {
  std::map<std::string, std::string> notes{{"seed", state.seed}};
  for (const auto& [stack, resources] : state.stacks) {
    for (const auto& [key, resource] : resources) {
      if (resource.type != kClusterType || resource.id != id) continue;
      notes["stack"] = stack;
      notes["logical_id"] = key;
    }
  }
  return notes;
}

/// Letters, digits and hyphens: what seeds, stacks and logical ids are of.
std::string plain_note(const cluster::BackupInfo& backup, const std::string& name) {
  const auto found = backup.notes.find(name);
  if (found == backup.notes.end() || found->second.size() > kNameBytesMax) return {};
  const bool is_plain = std::all_of(found->second.begin(), found->second.end(), [](char c) {
    return c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
  return is_plain ? found->second : std::string{};
}

}  // namespace

base::Result<CopyReport> back_up_cluster(cluster::Clusters& clusters, const State& state,
                                         const std::string& name,
                                         const std::filesystem::path& folder,
                                         const cluster::OnProgress& on_progress) {
  ZORYA_ASSIGN(const std::string id, choose(clusters, state, name));
  ZORYA_ASSIGN(const cluster::BackupInfo made,
               clusters.back_up(id, folder, notes_of(state, id), on_progress));
  return CopyReport{id,
                    clusters.find(id)->endpoint,
                    folder.string(),
                    made.made_at,
                    made.postgresql,
                    made.size_bytes};
}

base::Result<CopyReport> restore_cluster(cluster::Clusters& clusters, const std::string& id,
                                         const std::filesystem::path& folder,
                                         const cluster::OnProgress& on_progress) {
  ZORYA_ASSIGN(const cluster::BackupInfo backup, clusters.restore(folder, id, on_progress));
  return CopyReport{id,
                    clusters.find(id)->endpoint,
                    folder.string(),
                    backup.made_at,
                    backup.postgresql,
                    backup.size_bytes};
}

bool take_former_place(const cluster::BackupInfo& backup, State& state) {
  const std::string seed = plain_note(backup, "seed");
  const std::string stack = plain_note(backup, "stack");
  const std::string logical_id = plain_note(backup, "logical_id");
  if (seed.empty() || stack.empty() || logical_id.empty()) return false;
  state.seed = seed;
  state.stacks[stack][logical_id] = {std::string(kClusterType), backup.cluster, false};
  return true;
}

}  // namespace zorya::cli
