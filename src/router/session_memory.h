#pragma once

#include "pgwire/messages.h"
#include "pgwire/sql_mark.h"

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace zorya::router {

/// What a fresh backend must be told to stand in for a lost one: the session's settings and its
/// named prepared statements. Pure.
///
/// Settings come as the backend reports them (ParameterStatus), so that SET, set_config, RESET and
/// a rollback are all followed without reading SQL. Only changes since the login are kept.
/// Statements are kept as their Parse messages, up to a bound; those beyond it, and the unnamed
/// one, are not there after a loss (26000).
class SessionMemory {
 public:
  static constexpr std::size_t kStatementCountMax = 1000;
  static constexpr std::size_t kStatementBytesMax = 1 << 20;

  using Settings = std::map<std::string, std::string, std::less<>>;

  /// ParameterStatus came.
  void note_setting(std::string_view name, std::string_view value);
  /// ReadyForQuery came: outside a transaction block the settings are the session's own. The first
  /// ends the login: what was reported before is what every backend of this session reports.
  void note_status(pgwire::TransactionStatus status);
  /// The transaction was lost: its settings are not the session's.
  void drop_unsettled();
  /// What the client must be told of its settings once a backend that has reported `fresh` stands
  /// in: it heard of values in the lost transaction.
  Settings take_corrections(const Settings& fresh);

  /// `message`: the whole Parse.
  void remember(std::string_view name, std::string message, pgwire::SqlWord word);
  void forget(std::string_view name);
  void forget_all();
  [[nodiscard]] pgwire::SqlWord word_of(std::string_view name) const;
  /// Some statement that is remembered ends a transaction.
  [[nodiscard]] bool has_transaction_words() const { return transaction_words_ > 0; }

  /// True for parameters whose changes a client hears of; the others are reported for us alone.
  static bool is_shown(std::string_view name);

  /// Messages for a backend that has reported `fresh` at its login; each is answered by one
  /// ReadyForQuery.
  [[nodiscard]] std::vector<std::string> restoring(const Settings& fresh) const;

 private:
  struct Statement {
    std::string message;
    pgwire::SqlWord word;
  };
  using Statements = std::map<std::string, Statement, std::less<>>;
  void erase(Statements::iterator statement);

  Settings settled_;
  Settings unsettled_;             // of the transaction that runs
  std::set<std::string> doubted_;  // shown ones of a lost transaction
  bool logged_in_ = false;
  Statements statements_;
  std::size_t statement_bytes_ = 0;
  std::size_t transaction_words_ = 0;
};

}  // namespace zorya::router
