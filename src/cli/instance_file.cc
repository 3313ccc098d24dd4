#include "cli/instance_file.h"

#include "base/files.h"
#include "cli/control.h"

#include <boost/json.hpp>

#include <algorithm>

namespace zorya::cli {
namespace {

namespace json = boost::json;

json::array dsql_array(const std::vector<ReachableCluster>& clusters, bool with_logical_id) {
  json::array list;
  for (const ReachableCluster& cluster : clusters) {
    json::object one{{"id", cluster.id},
                     {"endpoint", cluster.endpoint},
                     {"host", cluster.host},
                     {"port", cluster.port},
                     {"region", cluster.region}};
    if (with_logical_id) one["logical_id"] = cluster.logical_id;
    if (with_logical_id && cluster.is_restored) one["restored"] = true;
    list.push_back(std::move(one));
  }
  return list;
}

// Members of one object; an absent or wrong one reads as empty.
class Fields {
 public:
  explicit Fields(const json::value& value) : object_(value.if_object()) {}

  [[nodiscard]] std::string text(std::string_view key) const {
    const json::value* value = find(key);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string{};
  }
  [[nodiscard]] std::int64_t number(std::string_view key) const {
    const json::value* value = find(key);
    return value != nullptr && value->is_int64() ? value->as_int64() : 0;
  }
  [[nodiscard]] bool flag(std::string_view key) const {
    const json::value* value = find(key);
    return value != nullptr && value->is_bool() && value->as_bool();
  }
  [[nodiscard]] const json::array& list(std::string_view key) const {
    static const json::array none;
    const json::value* value = find(key);
    return value != nullptr && value->is_array() ? value->as_array() : none;
  }

 private:
  [[nodiscard]] const json::value* find(std::string_view key) const {
    return object_ == nullptr ? nullptr : object_->if_contains(key);
  }
  const json::object* object_;
};

template <typename Item>
std::string names_of(const std::vector<Item>& items, std::string Item::*name) {
  std::string text;
  for (const Item& item : items) {
    text += (text.empty() ? "" : ", ") + (item.logical_id.empty() ? item.*name : item.logical_id);
  }
  return text.empty() ? "none" : text;
}

}  // namespace

std::string instance_text(const InstanceInfo& info) {
  json::array functions;
  for (const RunningFunction& function : info.functions) {
    functions.push_back(json::object{{"logical_id", function.logical_id},
                                     {"name", function.name},
                                     {"log_group", function.log_group}});
  }
  return json::serialize(json::object{{"pid", info.pid},
                                      {"api_url", info.api_url},
                                      {"dsql", dsql_array(info.dsql, true)},
                                      {"functions", std::move(functions)},
                                      {"ca_file", info.ca_file},
                                      {"region", info.region},
                                      {"stack", info.stack}}) +
         "\n";
}

std::string ready_text(const InstanceInfo& info, const ReadyKeys& keys) {
  return json::serialize(json::object{{"api_url", info.api_url},
                                      {"dsql", dsql_array(info.dsql, false)},
                                      {"ca_file", info.ca_file},
                                      {"access_key_id", keys.access_key_id},
                                      {"secret_access_key", keys.secret_access_key},
                                      {"region", info.region},
                                      {"pid", info.pid}}) +
         "\n";
}

base::Result<InstanceInfo> parse_instance(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) {
    return base::Error{base::Code::kInvalidArgument, "instance.json is not JSON", {}};
  }
  const Fields fields(value);
  InstanceInfo info;
  info.pid = static_cast<pid_t>(fields.number("pid"));
  info.api_url = fields.text("api_url");
  info.ca_file = fields.text("ca_file");
  info.region = fields.text("region");
  info.stack = fields.text("stack");
  for (const json::value& item : fields.list("dsql")) {
    const Fields one(item);
    info.dsql.push_back({one.text("id"), one.text("logical_id"), one.text("endpoint"),
                         one.text("host"), static_cast<std::uint16_t>(one.number("port")),
                         one.text("region"), one.flag("restored")});
  }
  for (const json::value& item : fields.list("functions")) {
    const Fields one(item);
    info.functions.push_back({one.text("logical_id"), one.text("name"), one.text("log_group")});
  }
  return info;
}

base::Result<InstanceInfo> find_instance(const std::filesystem::path& data_folder) {
  const base::Error absent{base::Code::kUnavailable, "no instance runs on " + data_folder.string(),
                           "zorya up DIR --data " + data_folder.string()};
  std::error_code error;
  const std::filesystem::path path = data_folder / "instance.json";
  if (!std::filesystem::exists(path, error)) return absent;
  ZORYA_ASSIGN(const std::string text, base::read_file(path, 1u << 20));
  auto info = parse_instance(text);
  // A killed instance leaves its file and its socket, but nobody listens there.
  if (info && !is_instance_listening(data_folder)) return absent;
  return info;
}

base::Result<ReachableCluster> choose_cluster(const InstanceInfo& info, std::string_view name) {
  const std::string choices = names_of(info.dsql, &ReachableCluster::id);
  if (name.empty() && info.dsql.size() == 1) return info.dsql.front();
  const auto is_own = [](const ReachableCluster& one) { return !one.is_restored; };
  if (name.empty() && std::count_if(info.dsql.begin(), info.dsql.end(), is_own) == 1) {
    return *std::find_if(info.dsql.begin(), info.dsql.end(), is_own);
  }
  if (name.empty()) {
    return base::Error{
        base::Code::kInvalidArgument, "say which cluster by --cluster: " + choices, {}};
  }
  for (const ReachableCluster& cluster : info.dsql) {
    if (cluster.id == name || cluster.logical_id == name || cluster.endpoint == name)
      return cluster;
  }
  return base::Error{base::Code::kNotFound,
                     "there is no cluster " + std::string(name) + "; there are: " + choices,
                     {}};
}

base::Result<RunningFunction> choose_function(const InstanceInfo& info, std::string_view name) {
  for (const RunningFunction& function : info.functions) {
    if (function.name == name || function.logical_id == name) return function;
  }
  return base::Error{base::Code::kNotFound,
                     "there is no function " + std::string(name) +
                         "; there are: " + names_of(info.functions, &RunningFunction::name),
                     {}};
}

}  // namespace zorya::cli
