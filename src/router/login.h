#pragma once

#include "pgwire/messages.h"
#include "pgwire/startup.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace zorya::router {

/// What a startup packet asks for, checked.
struct Login {
  std::string role;
  std::string database;
  std::string cluster_option;  // amzn-cluster-id in `options`; empty if not given
  std::vector<std::pair<std::string, std::string>> settings;  // those that a session may set
  std::vector<std::string> unknown_protocol_options;          // "_pq_.…": to be negotiated away
};

/// Checks the parameters against those that a session may set. A refusal is FATAL, in the service's
/// words.
std::variant<Login, pgwire::ErrorReport> check_startup(const pgwire::StartupPacket& packet);

/// What the backend is sent: role, database and settings by their names; never the client's
/// `options`.
std::vector<std::pair<std::string, std::string>> backend_parameters(const Login& login);

/// "<id>.dsql.<region>.on.aws" → id; nothing if the name has another form.
std::optional<std::string> cluster_id_of(std::string_view server_name, std::string_view region);
std::string endpoint_of(std::string_view cluster_id, std::string_view region);
std::string arn_of(std::string_view cluster_id, std::string_view region, std::string_view account);
bool is_cluster_id(std::string_view text);

/// 26 characters of base32, as the service shows for a session.
std::string make_session_id();

}  // namespace zorya::router
