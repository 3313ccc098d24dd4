// What a client sends, on its way to the backend.
#include "pgwire/sql_mark.h"
#include "router/relay.h"

#include <algorithm>

namespace zorya::router {
namespace {

using pgwire::SqlWord;
using pgwire::TransactionStatus;
using Kind = Awaited::Kind;

constexpr std::size_t kExpectedCountMax = 1u << 20;

/// It takes the place of a FunctionCall, which passes by parser and gate: the backend answers it in
/// its turn, with an error that fails the transaction as the service's would, and a ReadyForQuery.
constexpr std::string_view kQueryThatFails = "FunctionCall is refused";

/// The SQL text at the start of a message's body.
std::string_view text_of(std::string_view body) { return body.substr(0, body.find('\0')); }

/// What Close and Describe are about: 'S' for a statement or 'P' for a portal, then its name.
struct Target {
  char kind;
  std::string_view name;
};

std::optional<Target> target_of(std::string_view body) {
  if (body.size() < 2 || body.back() != '\0') return std::nullopt;
  if (body[0] != 'S' && body[0] != 'P') return std::nullopt;
  return Target{body[0], body.substr(1, body.size() - 2)};
}

}  // namespace

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
        return relay_.doom_.answers() || !relay_.async_names_.empty() ||
               relay_.memory_.has_transaction_words();
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
    relay_.end_ahead_ = relay_.end_ahead_ || is_batch || pgwire::ends_block(word);
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
    if (pgwire::ends_block(word)) relay_.end_ahead_ = true;
    if (word == SqlWord::kDeallocate) relay_.memory_.forget_all();
    relay_.awaited_.add_extended();
    const std::size_t start = out_.size();
    const bool is_async = append_marked(frame, name->size() + 1);
    relay_.awaited_.add_parse({.name = std::string(*name),
                               .message = name->empty() ? std::string() : out_.substr(start),
                               .word = word});
    relay_.async_names_.note_statement(*name, is_async);
    return bounded();
  }

  bool bind(const pgwire::Frame& frame) {
    std::string_view rest = frame.body;
    const auto portal = pgwire::take_string(rest);
    const auto statement = portal ? pgwire::take_string(rest) : std::nullopt;
    if (!statement) return malformed();
    relay_.async_names_.note_portal(*portal, *statement);
    if (pgwire::ends_block(relay_.memory_.word_of(*statement))) {
      relay_.end_ahead_ = true;
      if (!portal->empty()) relay_.end_is_bound_ = true;
    }
    relay_.awaited_.add_extended();
    out_.append(frame.whole);
    return bounded();
  }

  bool close(const pgwire::Frame& frame) {
    const auto target = target_of(frame.body);
    if (!target) return malformed();
    relay_.async_names_.forget(target->kind, target->name);
    if (target->kind == 'S') relay_.memory_.forget(target->name);
    relay_.awaited_.add_extended();
    out_.append(frame.whole);
    return bounded();
  }

  bool describe(const pgwire::Frame& frame) {
    const auto target = target_of(frame.body);
    if (!target) return malformed();
    const bool is_async = relay_.async_names_.contains(target->kind, target->name);
    relay_.awaited_.add({.kind = is_async ? Kind::kDescribeAsync : Kind::kDescribe});
    out_.append(frame.whole);
    return bounded();
  }

  bool malformed() { return relay_.refuse("08P01", "invalid message format"); }

  Relay& relay_;
  std::string& out_;
  std::string& to_client_;
  bool terminated_ = false;
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

void Relay::copy_ended_by_client() {
  if (copying_in_) awaited_.copy_ended();
  copying_in_ = false;
}

bool Relay::refuse(std::string sqlstate, std::string message) {
  refusal_ = {.severity = "FATAL", .sqlstate = std::move(sqlstate), .message = std::move(message)};
  return false;
}

}  // namespace zorya::router
