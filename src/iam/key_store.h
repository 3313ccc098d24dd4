#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zorya::iam {

/// One statement of a policy document, already checked: no Condition, NotAction, NotResource or
/// Principal.
struct Statement {
  bool allow = true;
  std::vector<std::string> actions;    // "dsql:DbConnectAdmin", "dsql:*"; wildcards * and ?
  std::vector<std::string> resources;  // ARNs; wildcards * and ?
};

/// Who calls, and what they may do. An explicit deny wins over any allow; nothing is allowed by
/// silence.
struct Identity {
  std::string arn;  // "arn:aws:iam::000000000000:user/admin",
                    // "arn:aws:sts::000000000000:assumed-role/<role>/<session>"
  std::vector<Statement> policy;
};

bool is_allowed(const Identity& identity, std::string_view action, std::string_view resource);

struct AccessKey {
  std::string access_key_id;  // "AKIA…" for long-lived, "ASIA…" for session keys
  std::string secret_access_key;
  std::string session_token;  // session keys only
  std::optional<std::chrono::system_clock::time_point> expires;
  Identity identity;
};

/// The access keys this instance knows. Any thread.
class KeyStore {
 public:
  /// Long-lived keys are kept in `folder` (0700) as files of mode 0600; the first start makes the
  /// admin's.
  /// `clock` outlives the store.
  static base::Result<std::unique_ptr<KeyStore>> open(
      const std::filesystem::path& folder, std::string_view account,
      const base::Clock& clock = base::system_clock());
  virtual ~KeyStore() = default;

  virtual AccessKey admin() const = 0;
  virtual std::optional<AccessKey> find(std::string_view access_key_id) const = 0;

  /// Session keys of a role, as STS would hand out: kept in memory, forgotten an hour after they
  /// expired; until then their use is told apart from that of a key that never was.
  virtual AccessKey mint_session(Identity identity, std::chrono::seconds lifetime) = 0;
};

}  // namespace zorya::iam
