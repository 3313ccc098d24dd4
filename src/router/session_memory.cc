#include "router/session_memory.h"

#include "query_processor/gate/settings.h"

#include <algorithm>
#include <array>

namespace zorya::router {
namespace {

namespace gate = query_processor::gate;
using pgwire::SqlWord;
using pgwire::TransactionStatus;

/// Settable parameters that PostgreSQL reports by itself.
constexpr std::array<std::string_view, 5> kReportedAnyway = {
    "application_name", "client_encoding", "datestyle", "intervalstyle", "timezone"};

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

std::string setting_query(std::string_view name, std::string_view value) {
  std::string out;
  pgwire::append_query(
      out, "SELECT pg_catalog.set_config(" + quoted(name) + ", " + quoted(value) + ", false)");
  return out;
}

}  // namespace

bool SessionMemory::is_shown(std::string_view name) {
  if (!gate::is_settable(name)) return true;
  return std::any_of(kReportedAnyway.begin(), kReportedAnyway.end(),
                     [name](std::string_view known) { return gate::same_parameter(known, name); });
}

void SessionMemory::note_setting(std::string_view name, std::string_view value) {
  if (gate::is_settable(name)) unsettled_.insert_or_assign(std::string(name), std::string(value));
}

void SessionMemory::note_status(TransactionStatus status) {
  if (!logged_in_) unsettled_.clear();
  logged_in_ = true;
  if (status != TransactionStatus::kIdle || unsettled_.empty()) return;
  for (auto& [name, value] : unsettled_) settled_.insert_or_assign(name, std::move(value));
  unsettled_.clear();
}

void SessionMemory::drop_unsettled() {
  for (const auto& [name, value] : unsettled_) {
    if (is_shown(name)) doubted_.insert(name);
  }
  unsettled_.clear();
}

SessionMemory::Settings SessionMemory::take_corrections(const Settings& fresh) {
  Settings out;
  for (const std::string& name : doubted_) {
    for (const Settings* known : {&static_cast<const Settings&>(settled_), &fresh}) {
      const auto found = known->find(name);
      if (found == known->end()) continue;
      out.insert(*found);
      break;
    }
  }
  doubted_.clear();
  return out;
}

void SessionMemory::erase(Statements::iterator statement) {
  statement_bytes_ -= statement->second.message.size();
  if (statement->second.word != SqlWord::kOther) --transaction_words_;
  statements_.erase(statement);
}

void SessionMemory::remember(std::string_view name, std::string message, SqlWord word) {
  forget(name);
  if (statements_.size() >= kStatementCountMax) return;
  if (statement_bytes_ + message.size() > kStatementBytesMax) return;
  statement_bytes_ += message.size();
  if (word != SqlWord::kOther) ++transaction_words_;
  statements_.emplace(std::string(name), Statement{std::move(message), word});
}

void SessionMemory::forget(std::string_view name) {
  if (const auto found = statements_.find(name); found != statements_.end()) erase(found);
}

void SessionMemory::forget_all() {
  statements_.clear();
  statement_bytes_ = transaction_words_ = 0;
}

SqlWord SessionMemory::word_of(std::string_view name) const {
  const auto found = statements_.find(name);
  return found == statements_.end() ? SqlWord::kOther : found->second.word;
}

/// The encoding first: all else is written in it. The role last: it may set less than the session's
/// own.
std::vector<std::string> SessionMemory::restoring(const Settings& fresh) const {
  std::vector<std::string> first;
  std::vector<std::string> middle;
  std::vector<std::string> last;
  for (const auto& [name, value] : settled_) {
    const auto found = fresh.find(name);
    if (found != fresh.end() && found->second == value) continue;
    const bool is_encoding = gate::same_parameter(name, "client_encoding");
    const bool is_role = gate::same_parameter(name, "role");
    (is_encoding ? first : is_role ? last : middle).push_back(setting_query(name, value));
  }
  std::vector<std::string> out = std::move(first);
  out.insert(out.end(), middle.begin(), middle.end());
  for (const auto& [name, statement] : statements_) {
    out.push_back(statement.message);
    pgwire::append_message(out.back(), 'S', {});
  }
  out.insert(out.end(), last.begin(), last.end());
  return out;
}

}  // namespace zorya::router
