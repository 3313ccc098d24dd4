#pragma once

#include "base/result.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zorya::cluster {

/// The superuser that initdb makes. Nobody can log in as it but through the owner door.
inline constexpr std::string_view kOwnerRole = "zorya_owner";
/// The role that background jobs connect as, from inside the server only (the extension makes it).
inline constexpr std::string_view kJobRole = "zorya_jobs";
/// The ordinary role that a cluster's first client logs in as.
inline constexpr std::string_view kAdminRole = "admin";
/// The role of pg_basebackup: it may log in for replication and for nothing else, and has no other
/// right.
inline constexpr std::string_view kBackupRole = "zorya_backup";
inline constexpr std::string_view kDatabase = "postgres";

/// Settings in the order in which they are given to the server; of two with one name the last
/// holds.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// `key = value` lines, `#` begins a comment, the value is the rest of the line without quotes.
/// kInvalidArgument names `source` and the line.
base::Result<Settings> parse_settings(std::string_view text, std::string_view source);

/// What every server of ours runs with, whatever its data folder says: given with -c, which stands
/// above the configuration files.
Settings server_settings();

/// Settings for the minutes in which a template is made: nothing is kept if the machine fails then.
Settings template_settings();

enum class OwnerDoor { kClosed, kOpen };

/// pg_hba.conf of a private server: ordinary roles to the one database, by the socket that only we
/// can reach; replication for the backup's role alone; the superuser only through the owner door;
/// the role of jobs never.
std::string access_rules(OwnerDoor door);

}  // namespace zorya::cluster
