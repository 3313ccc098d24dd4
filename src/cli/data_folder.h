#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace zorya::cli {

inline constexpr std::string_view kClusterType = "AWS::DSQL::Cluster";
inline constexpr std::string_view kFunctionType = "AWS::Serverless::Function";

/// One resource that a stack made.
struct KnownResource {
  std::string type{};    // kClusterType or kFunctionType
  std::string id{};      // cluster id or function name
  bool is_left = false;  // the template does not name it any more; kept
};

/// What an instance remembers between starts: state.json.
struct State {
  std::string seed{};  // of the ids; made once
  /// By stack and logical id; a cluster that is only named by its endpoint stands under its id.
  std::map<std::string, std::map<std::string, KnownResource>> stacks{};
  /// Ids of clusters that were made of backups: no template needs to name them, they are started.
  std::set<std::string> restored{};
};

/// The folder that one instance owns: its layout, its lock and what it remembers.
class DataFolder {
 public:
  /// Makes the folder (0711: the database's user goes through it, nobody else can look) and takes
  /// the lock for as long as the object lives. kFailedPrecondition says who holds it.
  static base::Result<DataFolder> take(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  /// A first start makes the seed.
  base::Result<State> load_state() const;
  base::Result<void> save_state(const State& state) const;

 private:
  DataFolder(std::filesystem::path path, base::UniqueFd lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  base::UniqueFd lock_;
};

/// state.json of a folder that another process may hold. kNotFound: nothing was ever started there.
base::Result<State> read_state(const std::filesystem::path& data_folder);

std::string state_text(const State& state);
base::Result<State> parse_state(std::string_view text);

inline std::filesystem::path telemetry_file(const std::filesystem::path& data_folder) {
  return data_folder / "telemetry.sqlite";
}

/// Removes what an instance made in `data_folder`, and the folder if nothing else is in it. The
/// lock must be held by the caller. Answers what was left because it is not ours.
base::Result<std::vector<std::string>> remove_made(const std::filesystem::path& data_folder);

}  // namespace zorya::cli
