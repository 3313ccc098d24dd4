#include "cli/data_folder.h"

#include "base/files.h"
#include "base/json_fields.h"
#include "base/random.h"

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace zorya::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using base::text_of;

constexpr std::int64_t kStateVersion = 1;
constexpr std::size_t kMaxStateBytes = 8u << 20;

// Every name that a part of the instance makes in the data folder.
constexpr std::array<std::string_view, 10> kMade = {
    "ca",         "keys",          "clusters",     "functions", "runtimes",
    "state.json", "instance.json", "control.sock", "lock",      "packages"};

bool is_made_by_us(const std::string& name) {
  return std::find(kMade.begin(), kMade.end(), name) != kMade.end() ||
         name.starts_with("telemetry.sqlite") || name.starts_with("state.json.new-") ||
         name.starts_with("instance.json.new-");
}

json::object resource_object(const KnownResource& resource) {
  return {{"type", resource.type}, {"id", resource.id}, {"left", resource.is_left}};
}

KnownResource resource_of(const json::value& value) {
  if (!value.is_object()) return {};
  const json::object& object = value.as_object();
  const json::value* left = object.if_contains("left");
  return {text_of(object, "type"), text_of(object, "id"),
          left != nullptr && left->is_bool() && left->as_bool()};
}

}  // namespace

std::string state_text(const State& state) {
  json::object stacks;
  for (const auto& [stack, resources] : state.stacks) {
    json::object list;
    for (const auto& [logical_id, resource] : resources)
      list[logical_id] = resource_object(resource);
    stacks[stack] = std::move(list);
  }
  json::array restored(state.restored.begin(), state.restored.end());
  return json::serialize(json::object{{"version", kStateVersion},
                                      {"seed", state.seed},
                                      {"stacks", std::move(stacks)},
                                      {"restored", std::move(restored)}}) +
         "\n";
}

base::Result<State> parse_state(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) {
    return base::Error{base::Code::kInvalidArgument, "state.json is not JSON", {}};
  }
  const json::object& object = value.as_object();
  const json::value* version = object.if_contains("version");
  if (version == nullptr || !version->is_int64() || version->as_int64() != kStateVersion) {
    return base::Error{
        base::Code::kFailedPrecondition, "state.json is of another version of zorya", {}};
  }
  State state{.seed = text_of(object, "seed")};
  if (state.seed.empty()) {
    return base::Error{base::Code::kInvalidArgument, "state.json has no seed", {}};
  }
  if (const json::value* list = object.if_contains("restored"); list && list->is_array()) {
    for (const json::value& id : list->as_array()) {
      if (id.is_string()) state.restored.emplace(id.as_string());
    }
  }
  const json::value* stacks = object.if_contains("stacks");
  if (stacks == nullptr || !stacks->is_object()) return state;
  for (const auto& [stack, resources] : stacks->as_object()) {
    if (!resources.is_object()) continue;
    for (const auto& [logical_id, resource] : resources.as_object()) {
      state.stacks[stack][logical_id] = resource_of(resource);
    }
  }
  return state;
}

base::Result<State> read_state(const fs::path& data_folder) {
  const fs::path path = data_folder / "state.json";
  std::error_code error;
  if (!fs::exists(path, error)) {
    return base::Error{base::Code::kNotFound, "nothing was ever started in " + data_folder.string(),
                       "zorya up DIR --data " + data_folder.string()};
  }
  ZORYA_ASSIGN(const std::string text, base::read_file(path, kMaxStateBytes));
  auto state = parse_state(text);
  if (!state) return state.error().with_context(path.string());
  return state;
}

base::Result<DataFolder> DataFolder::take(const fs::path& path) {
  ZORYA_TRY(base::make_folder(path, 0711));
  ZORYA_ASSIGN(auto lock, base::lock_file(path / "lock"));
  return DataFolder(path, std::move(lock));
}

base::Result<State> DataFolder::load_state() const {
  auto state = read_state(path_);
  if (state || state.error().code != base::Code::kNotFound) return state;
  State fresh{.seed = base::random_alphanumeric(32)};
  ZORYA_TRY(save_state(fresh));
  return fresh;
}

base::Result<void> DataFolder::save_state(const State& state) const {
  return base::write_file_atomically(path_ / "state.json", state_text(state), 0600);
}

base::Result<std::vector<std::string>> remove_made(const fs::path& data_folder) {
  std::vector<std::string> left;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(data_folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!is_made_by_us(name)) {
      left.push_back(name);
    } else if (name != "lock") {
      std::error_code failed;
      fs::remove_all(entry.path(), failed);
      if (failed) return base::errno_error("remove " + entry.path().string(), failed.value());
    }
  }
  if (error) return base::errno_error("list " + data_folder.string(), error.value());
  fs::remove(data_folder / "lock", error);
  if (left.empty()) fs::remove(data_folder, error);
  return left;
}

}  // namespace zorya::cli
