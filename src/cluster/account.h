#pragma once

#include "base/launcher.h"
#include "base/result.h"

#include <sys/types.h>

#include <optional>

namespace zorya::cluster {

/// The user that PostgreSQL's processes run as: ourselves, or as root (which PostgreSQL refuses)
/// the user `postgres` of the distribution's package.
struct Account {
  std::optional<uid_t> uid;  // empty: ourselves
  std::optional<gid_t> gid;

  /// True if files and folders must be given to another user.
  [[nodiscard]] bool is_other() const { return uid.has_value(); }
};

/// kNotFound when we are root and there is no user `postgres`.
base::Result<Account> server_account();

/// A command of PostgreSQL's that runs as `account`, in C locale, with nothing of our environment.
base::ChildSpec command_as(const Account& account, std::vector<std::string> argv);

}  // namespace zorya::cluster
