#pragma once

#include "function_kit/credentials.h"
#include "function_kit/expected.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace function_kit {

/// A value in PostgreSQL's text form, or NULL.
using DsqlValue = std::optional<std::string>;

struct DsqlRows {
  std::vector<std::string> columns;
  std::vector<std::vector<DsqlValue>> rows;
  long affected = 0;  // rows changed, as the command tag says
};

struct DsqlOptions {
  std::string endpoint;  // <id>.dsql.<region>.on.aws
  std::string region;
  std::string user = "admin";
  std::string port = "5432";
  /// PEM of the authorities to trust. Empty: PGSSLROOTCERT, else the system's bundle.
  std::string ca_file = {};
  std::chrono::seconds connect_timeout{3};
  /// A session that is older is opened anew before the next statement; the service ends it at 60.
  std::chrono::minutes age_max{55};
};

/// One session with a cluster: TLS verified in full, an IAM token as password, opened on first use
/// and again after it broke (but not between BEGIN and COMMIT: the next statement then fails with
/// connection_lost, and the transaction is to be begun anew). One thread.
class DsqlConnection {
 public:
  explicit DsqlConnection(DsqlOptions options);
  DsqlConnection(DsqlConnection&&) noexcept;
  DsqlConnection& operator=(DsqlConnection&&) noexcept;
  ~DsqlConnection();

  /// Opens the session if there is none.
  Expected<bool> connect();

  /// Runs one statement, with parameters as $1, $2, …; outside BEGIN it is a transaction of its
  /// own. Errors carry the SQLSTATE; with `connection_lost` it is not known whether it was done.
  Expected<DsqlRows> execute(const std::string& sql, const std::vector<DsqlValue>& parameters = {});

  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace function_kit
