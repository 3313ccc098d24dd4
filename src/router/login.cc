#include "router/login.h"

#include "base/random.h"
#include "query_processor/gate/settings.h"

#include <algorithm>
#include <array>

namespace zorya::router {
namespace {

namespace gate = query_processor::gate;
using pgwire::ErrorReport;

constexpr std::size_t kClusterIdSize = 26;

ErrorReport fatal(std::string sqlstate, std::string message) {
  return {.severity = "FATAL", .sqlstate = std::move(sqlstate), .message = std::move(message)};
}

ErrorReport setting_refused(std::string_view name) {
  return fatal("0A000", std::string(gate::kSettingRefusedHead) + std::string(name) +
                            std::string(gate::kSettingRefusedTail));
}

/// Adds the settings of the parameter `options`, and takes the cluster's id out of it.
std::optional<ErrorReport> read_options(std::string_view options, Login& login) {
  const auto settings = pgwire::parse_options(options);
  if (!settings) return fatal("42601", settings.error().message);
  for (const auto& [name, value] : *settings) {
    if (name == "amzn_cluster_id") {
      login.cluster_option = value;
    } else if (gate::is_settable(name)) {
      login.settings.emplace_back(name, value);
    } else {
      return setting_refused(name);
    }
  }
  return std::nullopt;
}

}  // namespace

std::variant<Login, ErrorReport> check_startup(const pgwire::StartupPacket& packet) {
  Login login;
  for (const auto& [name, value] : packet.parameters) {
    if (name == "user" || name == "database" || name == "options") continue;
    if (name.starts_with("_pq_.")) {
      login.unknown_protocol_options.push_back(name);
    } else if (gate::is_settable(name)) {
      login.settings.emplace_back(name, value);
    } else {
      return setting_refused(name);  // "replication" too
    }
  }
  login.role = packet.parameter("user");
  if (login.role.empty()) {
    return fatal("28000", "no PostgreSQL user name specified in startup packet");
  }
  login.database = packet.parameter("database");
  if (login.database.empty()) login.database = login.role;
  if (auto refusal = read_options(packet.parameter("options"), login)) return *refusal;
  return login;
}

std::vector<std::pair<std::string, std::string>> backend_parameters(const Login& login) {
  std::vector<std::pair<std::string, std::string>> out = {{"user", login.role},
                                                          {"database", login.database}};
  out.insert(out.end(), login.settings.begin(), login.settings.end());
  return out;
}

bool is_cluster_id(std::string_view text) {
  return text.size() == kClusterIdSize && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
         });
}

std::optional<std::string> cluster_id_of(std::string_view server_name, std::string_view region) {
  const std::string_view id = server_name.substr(0, kClusterIdSize);
  if (!is_cluster_id(id) || server_name != endpoint_of(id, region)) return std::nullopt;
  return std::string(id);
}

std::string endpoint_of(std::string_view cluster_id, std::string_view region) {
  return std::string(cluster_id) + ".dsql." + std::string(region) + ".on.aws";
}

std::string arn_of(std::string_view cluster_id, std::string_view region, std::string_view account) {
  return "arn:aws:dsql:" + std::string(region) + ":" + std::string(account) + ":cluster/" +
         std::string(cluster_id);
}

std::string make_session_id() {
  constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";
  std::array<std::uint8_t, 26> bytes{};
  base::fill_random(bytes);
  std::string out;
  for (const std::uint8_t byte : bytes) out += kBase32[byte & 31];
  return out;
}

}  // namespace zorya::router
