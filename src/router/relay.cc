#include "router/relay.h"

#include "base/random.h"
#include "pgwire/sql_mark.h"
#include "query_processor/gate/router_word.h"
#include "query_processor/gate/settings.h"
#include "router/error_map.h"

#include <algorithm>

namespace zorya::router {
namespace {

namespace gate = query_processor::gate;
using pgwire::ErrorReport;
using pgwire::SqlWord;
using pgwire::TransactionStatus;
using Kind = Awaited::Kind;

constexpr std::size_t kExpectedCountMax = 1u << 20;
constexpr std::size_t kAsyncNameCountMax = 1000;

/// It takes the place of a FunctionCall, which passes by parser and gate: the backend answers it in
/// its turn, with an error that fails the transaction as the service's would, and a ReadyForQuery.
constexpr std::string_view kQueryThatFails = "FunctionCall is refused";

bool is_our_failure(const pgwire::ErrorFields& error) {
  return error['C'] == "42601" && error['M'].find(Relay::own_word()) != std::string_view::npos;
}

std::string failing_text(Cause cause) {
  return std::string(Relay::own_word()) +
         std::string(cause == Cause::kAge ? gate::kForAge : gate::kForSchemaChange);
}

ErrorReport in_failed_transaction() {
  return {
      .sqlstate = "25P02",
      .message = "current transaction is aborted, commands ignored until end of transaction block"};
}

bool ends_block(SqlWord word) { return word == SqlWord::kCommit || word == SqlWord::kRollback; }

/// The SQL text at the start of a message's body.
std::string_view text_of(std::string_view body) { return body.substr(0, body.find('\0')); }

}  // namespace

/// No client can know it, so that errors about it are told from errors of theirs.
std::string_view Relay::own_word() {
  static const std::string word = "zorya_" + base::random_alphanumeric(16);
  return word;
}

/// Handles what a client sends.
class Relay::ClientSide {
 public:
  ClientSide(Relay& relay, std::string& to_backend, std::string& to_client)
      : relay_(relay), out_(to_backend), to_client_(to_client) {}

  [[nodiscard]] bool wants(char type) const {
    switch (type) {
      case 'Q':
      case 'P':
      case 'D':
      case 'F':
      case 'C':
      case 'X':
        return true;
      case 'B':
        return relay_.doom_.answers() || !relay_.async_statements_.empty() ||
               !relay_.async_portals_.empty() || relay_.memory_.has_transaction_words();
      case 'E':
      case 'S':
        return relay_.doom_.answers();
      default:
        return false;
    }
  }

  bool begin(char type) {
    switch (type) {
      case 'B':
      case 'E':
        relay_.awaited_.add_extended();
        return bounded();
      case 'S':
        relay_.awaited_.add({.kind = Kind::kSync, .may_commit = relay_.may_commit()});
        return bounded();
      case 'c':
      case 'f':
        relay_.copy_ended_by_client();
        return true;
      case 'd':
      case 'H':
        return true;
      default:
        return relay_.refuse("08P01", "invalid frontend message type " +
                                          std::to_string(static_cast<unsigned char>(type)));
    }
  }

  /// While it answers itself, only COPY data and Flush come here.
  void pass(std::string_view run) {
    if (!relay_.doom_.answers()) out_.append(run);
  }

  bool take(const pgwire::Frame& frame) {
    if (relay_.doom_.answers() && frame.type != 'X' && !forwards(frame)) return bounded();
    switch (frame.type) {
      case 'Q':
        return query(frame);
      case 'P':
        return parse(frame);
      case 'B':
        return bind(frame);
      case 'C':
        return close(frame);
      case 'D':
        return describe(frame);
      case 'E':
      case 'S':
        out_.append(frame.whole);
        return begin(frame.type);
      case 'F':
        relay_.awaited_.add({.kind = Kind::kRefusedCall, .may_commit = false});
        pgwire::append_query(out_, kQueryThatFails);
        return bounded();
      default:
        out_.append(frame.whole);
        terminated_ = true;
        return false;
    }
  }

  [[nodiscard]] bool terminated() const { return terminated_; }

 private:
  [[nodiscard]] bool bounded() const {
    return relay_.awaited_.size() <= kExpectedCountMax ||
           relay_.refuse("53400", "too many messages without an answer");
  }

  /// Answers in the backend's place; false if it did.
  bool forwards(const pgwire::Frame& frame) {
    const Doom::Answer answer = relay_.doom_.take(frame.type, word_of(frame));
    if (answer.tell) relay_.tell(to_client_, relay_.reason_);
    if (answer.ready) pgwire::append_ready_for_query(to_client_, *answer.ready);
    if (answer.end_block) {
      relay_.status_ = TransactionStatus::kIdle;
      if (relay_.has_backend_) {
        relay_.awaited_.add({.kind = Kind::kOwnQuery});
        pgwire::append_query(out_, "ROLLBACK");
      }
    }
    return answer.forward;
  }

  /// What the statement that a message runs, makes or names does.
  [[nodiscard]] SqlWord word_of(const pgwire::Frame& frame) const {
    std::string_view rest = frame.body;
    switch (frame.type) {
      case 'Q':
        return pgwire::first_word(text_of(rest));
      case 'P':
        return pgwire::take_string(rest) ? pgwire::first_word(text_of(rest)) : SqlWord::kOther;
      case 'B':
        if (pgwire::take_string(rest)) return relay_.memory_.word_of(text_of(rest));
        return SqlWord::kOther;
      default:
        return SqlWord::kOther;
    }
  }

  bool query(const pgwire::Frame& frame) {
    const SqlWord word = word_of(frame);
    if (word == SqlWord::kDeallocate) relay_.memory_.forget_all();
    const bool is_batch = pgwire::is_batch(text_of(frame.body));
    const bool commits = word == SqlWord::kCommit && relay_.status_ != TransactionStatus::kFailed;
    const bool only_begins = !is_batch && pgwire::begins_block(text_of(frame.body));
    relay_.awaited_.add(
        {.kind = Kind::kQuery,
         .word = is_batch ? SqlWord::kOther : word,
         .is_batch = is_batch,
         .may_commit = !only_begins && (relay_.may_commit() || is_batch || commits)});
    relay_.end_ahead_ = relay_.end_ahead_ || is_batch || ends_block(word);
    append_marked(frame, 0);
    return bounded();
  }

  /// Appends the frame with ASYNC marked in the SQL text that begins `skip` bytes into the body;
  /// true if there was any.
  bool append_marked(const pgwire::Frame& frame, std::size_t skip) {
    const std::size_t start = out_.size() + pgwire::kHeaderBytes + skip;
    out_.append(frame.whole);
    const std::size_t end = std::min(out_.find('\0', start), out_.size());
    return end > start && pgwire::mark_async({out_.data() + start, end - start}) > 0;
  }

  bool parse(const pgwire::Frame& frame) {
    std::string_view rest = frame.body;
    const auto name = pgwire::take_string(rest);
    if (!name) return malformed();
    const SqlWord word = pgwire::first_word(text_of(rest));
    if (ends_block(word)) relay_.end_ahead_ = true;
    if (word == SqlWord::kDeallocate) relay_.memory_.forget_all();
    relay_.awaited_.add_extended();
    const std::size_t start = out_.size();
    const bool is_async = append_marked(frame, name->size() + 1);
    relay_.awaited_.add_parse({.name = std::string(*name),
                               .message = name->empty() ? std::string() : out_.substr(start),
                               .word = word});
    note(relay_.async_statements_, *name, is_async);
    return bounded();
  }

  bool bind(const pgwire::Frame& frame) {
    std::string_view rest = frame.body;
    const auto portal = pgwire::take_string(rest);
    const auto statement = portal ? pgwire::take_string(rest) : std::nullopt;
    if (!statement) return malformed();
    note(relay_.async_portals_, *portal, relay_.async_statements_.contains(*statement));
    if (ends_block(relay_.memory_.word_of(*statement))) {
      relay_.end_ahead_ = true;
      if (!portal->empty()) relay_.end_is_bound_ = true;
    }
    relay_.awaited_.add_extended();
    out_.append(frame.whole);
    return bounded();
  }

  bool close(const pgwire::Frame& frame) {
    auto* const names = names_of(frame.body);
    if (names == nullptr) return malformed();
    note(*names, name_of(frame.body), false);
    if (frame.body[0] == 'S') relay_.memory_.forget(name_of(frame.body));
    relay_.awaited_.add_extended();
    out_.append(frame.whole);
    return bounded();
  }

  bool describe(const pgwire::Frame& frame) {
    const auto* const names = names_of(frame.body);
    if (names == nullptr) return malformed();
    const bool is_async = names->contains(name_of(frame.body));
    relay_.awaited_.add({.kind = is_async ? Kind::kDescribeAsync : Kind::kDescribe});
    out_.append(frame.whole);
    return bounded();
  }

  /// Close and Describe: 'S' or 'P', then a name.
  std::set<std::string, std::less<>>* names_of(std::string_view body) {
    if (body.size() < 2 || body.back() != '\0') return nullptr;
    if (body[0] == 'S') return &relay_.async_statements_;
    if (body[0] == 'P') return &relay_.async_portals_;
    return nullptr;
  }
  static std::string_view name_of(std::string_view body) { return body.substr(1, body.size() - 2); }

  static void note(std::set<std::string, std::less<>>& names, std::string_view name,
                   bool is_async) {
    if (!is_async) {
      if (const auto found = names.find(name); found != names.end()) names.erase(found);
    } else if (names.size() < kAsyncNameCountMax) {
      names.emplace(name);
    }
  }

  bool malformed() { return relay_.refuse("08P01", "invalid message format"); }

  Relay& relay_;
  std::string& out_;
  std::string& to_client_;
  bool terminated_ = false;
};

/// Handles what a backend sends.
class Relay::BackendSide {
 public:
  BackendSide(Relay& relay, std::string& out) : relay_(relay), out_(out) {}

  [[nodiscard]] bool wants(char type) const {
    switch (type) {
      case 'E':
      case 'N':
      case 'S':
      case 'n':
      case 'Z':
      case 'K':
        return true;
      case 'C':
        return answers_us();
      default:
        return false;
    }
  }

  bool begin(char type) {
    if (type == 'T') relay_.awaited_.described();
    if (type == 'G') relay_.copying_in_ = true;
    if (type == '1') {
      if (auto parse = relay_.awaited_.parsed(); parse && !parse->name.empty()) {
        relay_.memory_.remember(parse->name, std::move(parse->message), parse->word);
      }
    }
    return true;
  }

  void pass(std::string_view run) { out_.append(run); }

  bool take(const pgwire::Frame& frame) {
    switch (frame.type) {
      case 'E':
        return error(frame);
      case 'N':
        return notice(frame);
      case 'S':
        return parameter(frame);
      case 'n':
        if (relay_.awaited_.described() == Kind::kDescribeAsync) {
          pgwire::append_row_description(out_, kJobIdColumn);
        } else {
          out_.append(frame.whole);
        }
        return true;
      case 'Z':
        return ready(frame);
      default:
        return true;  // a BackendKeyData after the login, or the tag of what we asked
    }
  }

 private:
  [[nodiscard]] bool answers_us() const { return relay_.awaited_.is_front(Kind::kOwnQuery); }

  bool error(const pgwire::Frame& frame) {
    const auto fields = pgwire::ErrorFields::parse(frame.body);
    if (!fields) return false;
    const bool is_fatal = (*fields)['V'] == "FATAL" || (*fields)['V'] == "PANIC";
    if (is_fatal && is_loss(*fields)) {  // its end follows, and is told then
      relay_.aged_ = (*fields)['C'] == "25P03";
      return true;
    }
    if (relay_.holds_client()) {
      if (is_our_failure(*fields)) return true;
      relay_.failed_on_its_own_ = true;
    } else if (answers_us()) {
      return true;
    }
    relay_.copying_in_ = false;
    const bool is_refused_call = relay_.awaited_.is_front(Kind::kRefusedCall);
    if (!relay_.awaited_.is_simple()) relay_.awaited_.skip_to_sync();
    if (is_fatal) relay_.told_fatal_ = true;
    if (relay_.cancel_expected_ && (*fields)['C'] == "57014") {
      relay_.cancel_expected_ = false;
      relay_.tell(out_, relay_.reason_);
    } else if (is_refused_call && !is_fatal) {
      pgwire::append_error(out_,
                           {.sqlstate = "0A000", .message = "unsupported statement: FunctionCall"});
    } else if (auto mapped = map_error(*fields)) {
      pgwire::append_error(out_, *mapped);
    } else {
      out_.append(frame.whole);
    }
    return true;
  }

  bool notice(const pgwire::Frame& frame) {
    const auto fields = pgwire::ErrorFields::parse(frame.body);
    if (!fields) return false;
    const std::string_view state = (*fields)['C'];
    if (state == kDropNotice) {
      relay_.dropped_ = true;
      return false;
    }
    if (state == kJobIdNotice) {
      if (relay_.awaited_.is_simple()) pgwire::append_row_description(out_, kJobIdColumn);
      pgwire::append_data_row(out_, (*fields)['M']);
    } else if (state == kSchemaChangeNotice) {
      relay_.changes_schema_ = relay_.schema_change_begun_ = true;
    } else if (state == kAbortedNotice) {
      relay_.aborted_ = true;
    } else if (!state.starts_with(kPrivateClass) && !is_loss(*fields) && !answers_us()) {
      out_.append(frame.whole);  // the warning of a crash beside us is not for clients
    }
    return true;
  }

  bool parameter(const pgwire::Frame& frame) {
    const auto status = pgwire::parse_parameter_status(frame.body);
    if (!status) return false;
    relay_.memory_.note_setting(status->first, status->second);
    if (status->first == "server_version") {
      pgwire::append_parameter_status(out_, status->first, gate::kServerVersion);
    } else if (SessionMemory::is_shown(status->first)) {
      out_.append(frame.whole);
    }
    return true;
  }

  bool ready(const pgwire::Frame& frame) {
    const auto status = pgwire::parse_ready_for_query(frame.body);
    if (!status) return false;
    const Kind done = relay_.awaited_.ready();
    relay_.status_ = *status;
    relay_.copying_in_ = relay_.changes_schema_ = false;
    if (relay_.awaited_.empty()) relay_.end_ahead_ = false;
    if (*status == TransactionStatus::kIdle) relay_.end_is_bound_ = false;
    relay_.memory_.note_status(*status);
    const bool is_ours = done == Kind::kOwnQuery || done == Kind::kOwnSync;
    if (!is_ours) out_.append(frame.whole);
    if (relay_.holds_client() && !relay_.awaits_own()) relay_.finish_failing();
    if (relay_.cancel_sent_ && relay_.awaited_.empty()) {
      relay_.cancel_expected_ = relay_.cancel_sent_ = false;
    }
    return true;
  }

  Relay& relay_;
  std::string& out_;
};

RelayStatus Relay::from_client(std::string_view in, std::string& to_backend,
                               std::string& to_client) {
  ClientSide side(*this, to_backend, to_client);
  switch (client_cutter_.feed(in, side)) {
    case pgwire::CutStatus::kOk:
      return RelayStatus::kGoesOn;
    case pgwire::CutStatus::kBadLength:
      refuse("08P01", "invalid message length");
      return RelayStatus::kRefused;
    case pgwire::CutStatus::kStopped:
      break;
  }
  return side.terminated() ? RelayStatus::kTerminated : RelayStatus::kRefused;
}

RelayStatus Relay::from_backend(std::string_view in, std::string& to_client) {
  BackendSide side(*this, to_client);
  if (backend_cutter_.feed(in, side) == pgwire::CutStatus::kOk) return RelayStatus::kGoesOn;
  return dropped_ ? RelayStatus::kDropped : RelayStatus::kBroken;
}

Relay::Stance Relay::stance() const {
  if (!has_backend_ || doom_.phase() != Doom::Phase::kNone) return Stance::kIdle;
  if (copying_in_) return Stance::kCopyIn;
  if (awaited_.is_open()) return awaited_.is_skipping() ? Stance::kIdle : Stance::kOpen;
  if (!awaited_.empty()) return Stance::kBusy;
  return status_ == TransactionStatus::kInBlock ? Stance::kInTransaction : Stance::kIdle;
}

/// Can what is sent now commit something? A statement in a block cannot, unless the block's end is
/// ahead of it.
bool Relay::may_commit() const { return status_ == TransactionStatus::kIdle || end_may_be_ahead(); }

void Relay::fail_transaction(Cause cause, Reason reason, std::string& to_backend) {
  was_open_ = awaited_.is_open();
  failed_on_its_own_ = false;
  reason_ = std::move(reason);
  doom_.begin_failing();
  awaited_.add({.kind = Kind::kOwnQuery, .may_commit = false});
  pgwire::append_query(to_backend, failing_text(cause));
  if (!was_open_) return;
  // If one of the client's messages fails meanwhile, the backend skips our query: the Sync is
  // answered in any case.
  awaited_.add({.kind = Kind::kOwnSync, .may_commit = false});
  pgwire::append_message(to_backend, 'S', {});
}

bool Relay::awaits_own() const {
  return std::any_of(awaited_.entries().begin(), awaited_.entries().end(),
                     [](const Awaited::Entry& entry) {
                       return entry.kind == Kind::kOwnQuery || entry.kind == Kind::kOwnSync;
                     });
}

void Relay::finish_failing() {
  const bool in_block = status_ != TransactionStatus::kIdle;
  if (failed_on_its_own_) {
    doom_.become_skipping(in_block ? TransactionStatus::kFailed : TransactionStatus::kIdle);
  } else if (in_block || was_open_) {
    doom_.become_untold(in_block);
  } else {
    doom_.end();
  }
}

void Relay::fail_copy(Cause cause, Reason reason, std::string& to_backend) {
  expect_cancel(std::move(reason));
  cancel_sent_ = true;
  copy_ended_by_client();
  pgwire::append_message(to_backend, 'f', failing_text(cause) + '\0');
}

void Relay::expect_cancel(Reason reason) {
  reason_ = std::move(reason);
  cancel_expected_ = true;
  cancel_sent_ = false;
}

void Relay::cancel_was_sent(bool sent) {
  cancel_sent_ = true;
  if (!sent || awaited_.empty()) cancel_expected_ = cancel_sent_ = false;
}

void Relay::tell(std::string& out, const Reason& reason) {
  const ErrorReport report = reason();
  if (report.sqlstate != server_unavailable().sqlstate) ++counts_.told;
  pgwire::append_error(out, report);
}

bool Relay::lose_backend(const Reason& reason, std::string& to_client) {
  if (!backend_cutter_.passed_whole()) return false;
  backend_cutter_.reset();
  client_cutter_.drop_rest();
  memory_.drop_unsettled();
  if (holds_client()) {
    const bool may_have_committed = was_open_ && end_may_be_ahead();
    if (may_have_committed && !failed_on_its_own_) {
      pgwire::append_error(to_client, server_unavailable());
      failed_on_its_own_ = true;
    }
    finish_failing();
  } else if (!doom_.answers()) {
    answer_awaited(reason, to_client);
  }
  awaited_.clear();
  has_backend_ = copying_in_ = changes_schema_ = end_ahead_ = end_is_bound_ = false;
  cancel_expected_ = cancel_sent_ = aborted_ = aged_ = false;
  if (status_ == TransactionStatus::kInBlock) status_ = TransactionStatus::kFailed;
  return true;
}

void Relay::refuse_without_backend(std::string& to_client) {
  answer_awaited([] { return server_unavailable(); }, to_client);
  awaited_.clear();
  if (status_ == TransactionStatus::kInBlock) status_ = TransactionStatus::kFailed;
}

/// The backend is gone: is it certain that nothing of what it had to answer was committed?
bool Relay::is_certainly_lost() const {
  if (!awaited_.may_commit() && !(awaited_.ends_open() && end_may_be_ahead())) return true;
  // It said at its end that a transaction did not commit. Which one, is clear if it had only one.
  if (!aborted_ || awaited_.unit_count() != 1) return false;
  const Awaited::Entry& last = awaited_.entries().back();
  return last.kind == Kind::kQuery ? !last.is_batch : !end_may_be_ahead();
}

/// Answers all that was awaited, each in its turn, as a backend would whose transaction had failed.
void Relay::answer_awaited(const Reason& reason, std::string& to_client) {
  const bool is_lost = is_certainly_lost();
  bool in_block = status_ != TransactionStatus::kIdle;
  bool failed = status_ == TransactionStatus::kFailed;
  bool skipping = awaited_.is_skipping();
  bool is_open = false;
  const auto fail = [&] {
    if (!is_lost) {
      pgwire::append_error(to_client, server_unavailable());
    } else if (failed && in_block) {
      pgwire::append_error(to_client, in_failed_transaction());
    } else {
      tell(to_client, reason);
    }
    failed = true;
  };
  const auto current = [&] {
    return in_block ? TransactionStatus::kFailed : TransactionStatus::kIdle;
  };
  for (const Awaited::Entry& entry : awaited_.entries()) {
    switch (entry.kind) {
      case Kind::kExtended:
      case Kind::kDescribe:
      case Kind::kDescribeAsync:
        is_open = true;
        break;
      case Kind::kSync:
        if (!skipping) fail();
        skipping = is_open = false;
        pgwire::append_ready_for_query(to_client, current());
        break;
      case Kind::kQuery:
      case Kind::kRefusedCall:
        if (is_lost && in_block && ends_block(entry.word) &&
            (failed || entry.word == SqlWord::kRollback)) {
          pgwire::append_message(to_client, 'C', std::string_view("ROLLBACK\0", 9));
        } else {
          fail();
        }
        in_block = in_block && !ends_block(entry.word);
        pgwire::append_ready_for_query(to_client, current());
        break;
      case Kind::kOwnQuery:
      case Kind::kOwnSync:
        break;
    }
  }
  status_ = current();
  if (is_open) {
    // Who asked by Flush waits for an answer.
    if (!skipping) fail();
    doom_.become_skipping(status_);
  } else if (in_block && !failed) {
    reason_ = reason;
    doom_.become_untold(in_block);
  }
}

void Relay::copy_ended_by_client() {
  if (copying_in_) awaited_.copy_ended();
  copying_in_ = false;
}

bool Relay::refuse(std::string sqlstate, std::string message) {
  refusal_ = {.severity = "FATAL", .sqlstate = std::move(sqlstate), .message = std::move(message)};
  return false;
}

}  // namespace zorya::router
