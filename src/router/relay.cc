#include "router/relay.h"

#include "pgwire/sql_mark.h"
#include "query_processor/gate/settings.h"
#include "router/error_map.h"

#include <algorithm>

namespace zorya::router {
namespace {

namespace gate = query_processor::gate;

constexpr std::size_t kExpectedCountMax = 1u << 20;
constexpr std::size_t kAsyncNameCountMax = 1000;

/// It takes the place of a FunctionCall, which passes by parser and gate: the backend answers it in
/// its turn, with an error that fails the transaction as the service's would, and a ReadyForQuery.
constexpr std::string_view kQueryThatFails = "FunctionCall is refused";

}  // namespace

/// Handles what a client sends.
class Relay::ClientSide {
 public:
  ClientSide(Relay& relay, std::string& out) : relay_(relay), out_(out) {}

  [[nodiscard]] bool wants(char type) const {
    switch (type) {
      case 'Q':
      case 'P':
      case 'D':
      case 'F':
      case 'X':
        return true;
      case 'B':
      case 'C':
        return !relay_.async_statements_.empty() || !relay_.async_portals_.empty();
      default:
        return false;
    }
  }

  bool begin(char type) {
    switch (type) {
      case 'B':
      case 'C':
      case 'E':
        relay_.expect_extended();
        return bounded();
      case 'S':
        relay_.expect(Expected::kSync);
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

  void pass(std::string_view run) { out_.append(run); }

  bool take(const pgwire::Frame& frame) {
    switch (frame.type) {
      case 'Q':
        relay_.expect(Expected::kQuery);
        append_marked(frame, 0);
        return bounded();
      case 'P':
        return parse(frame);
      case 'B':
        return bind(frame);
      case 'C':
        return close(frame);
      case 'D':
        return describe(frame);
      case 'F':
        relay_.expect(Expected::kRefusedCall);
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
    return relay_.expected_.size() <= kExpectedCountMax ||
           relay_.refuse("53400", "too many messages without an answer");
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
    relay_.expect_extended();
    const bool is_async = append_marked(frame, name->size() + 1);
    note(relay_.async_statements_, *name, is_async);
    return bounded();
  }

  bool bind(const pgwire::Frame& frame) {
    std::string_view rest = frame.body;
    const auto portal = pgwire::take_string(rest);
    const auto statement = portal ? pgwire::take_string(rest) : std::nullopt;
    if (!statement) return malformed();
    note(relay_.async_portals_, *portal, relay_.async_statements_.contains(*statement));
    relay_.expect_extended();
    out_.append(frame.whole);
    return bounded();
  }

  bool close(const pgwire::Frame& frame) {
    auto* const names = names_of(frame.body);
    if (names == nullptr) return malformed();
    note(*names, name_of(frame.body), false);
    relay_.expect_extended();
    out_.append(frame.whole);
    return bounded();
  }

  bool describe(const pgwire::Frame& frame) {
    const auto* const names = names_of(frame.body);
    if (names == nullptr) return malformed();
    const bool is_async = names->contains(name_of(frame.body));
    relay_.expect(is_async ? Expected::kDescribeAsync : Expected::kDescribe);
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
  bool terminated_ = false;
};

/// Handles what a backend sends.
class Relay::BackendSide {
 public:
  BackendSide(Relay& relay, std::string& out) : relay_(relay), out_(out) {}

  [[nodiscard]] static bool wants(char type) {
    switch (type) {
      case 'E':
      case 'N':
      case 'S':
      case 'n':
      case 'Z':
      case 'K':
        return true;
      default:
        return false;
    }
  }

  bool begin(char type) {
    if (type == 'T') relay_.described();
    if (type == 'G') relay_.copying_in_ = true;
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
        if (relay_.described() == Expected::kDescribeAsync) {
          pgwire::append_row_description(out_, kJobIdColumn);
        } else {
          out_.append(frame.whole);
        }
        return true;
      case 'Z':
        return ready(frame);
      default:
        return true;  // a BackendKeyData after the login: nobody's business
    }
  }

 private:
  bool error(const pgwire::Frame& frame) {
    const auto fields = pgwire::ErrorFields::parse(frame.body);
    if (!fields) return false;
    relay_.copying_in_ = false;
    const bool is_refused_call =
        relay_.is_simple() && relay_.expected_.front() == Expected::kRefusedCall;
    if (!relay_.is_simple()) relay_.skipping_ = true;
    const bool is_fatal = (*fields)['V'] == "FATAL" || (*fields)['V'] == "PANIC";
    if (is_fatal) relay_.told_fatal_ = true;
    if (is_refused_call && !is_fatal) {
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
      if (relay_.is_simple()) pgwire::append_row_description(out_, kJobIdColumn);
      pgwire::append_data_row(out_, (*fields)['M']);
    } else if (!state.starts_with(kPrivateClass) && !map_error(*fields)) {
      out_.append(frame.whole);  // the warning of a crash beside us is not for clients
    }
    return true;
  }

  bool parameter(const pgwire::Frame& frame) {
    const auto status = pgwire::parse_parameter_status(frame.body);
    if (!status) return false;
    if (status->first == "server_version") {
      pgwire::append_parameter_status(out_, status->first, gate::kServerVersion);
    } else {
      out_.append(frame.whole);
    }
    return true;
  }

  bool ready(const pgwire::Frame& frame) {
    const auto status = pgwire::parse_ready_for_query(frame.body);
    if (!status) return false;
    relay_.status_ = *status;
    relay_.ready();
    out_.append(frame.whole);
    return true;
  }

  Relay& relay_;
  std::string& out_;
};

RelayStatus Relay::from_client(std::string_view in, std::string& to_backend) {
  ClientSide side(*this, to_backend);
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

void Relay::expect(Expected what) { expected_.push_back(what); }

void Relay::expect_extended() {
  if (expected_.empty() || expected_.back() != Expected::kExtended) expect(Expected::kExtended);
}

bool Relay::is_simple() const {
  return !expected_.empty() &&
         (expected_.front() == Expected::kQuery || expected_.front() == Expected::kRefusedCall);
}

/// A RowDescription or NoData came: to which Describe does it belong? To none if it is a simple
/// query's.
Relay::Expected Relay::described() {
  while (!expected_.empty() && expected_.front() == Expected::kExtended) expected_.pop_front();
  if (expected_.empty()) return Expected::kExtended;
  const Expected front = expected_.front();
  if (front != Expected::kDescribe && front != Expected::kDescribeAsync) return front;
  expected_.pop_front();
  return front;
}

/// ReadyForQuery came: everything up to the Sync or query that it answers is done.
void Relay::ready() {
  const auto is_end = [this](Expected what) {
    return what == Expected::kSync ||
           (!skipping_ && (what == Expected::kQuery || what == Expected::kRefusedCall));
  };
  auto end = std::find_if(expected_.begin(), expected_.end(), is_end);
  if (end == expected_.end()) {
    skipping_ = false;
    end = std::find_if(expected_.begin(), expected_.end(), is_end);
  }
  expected_.erase(expected_.begin(), end == expected_.end() ? end : end + 1);
  skipping_ = false;
  copying_in_ = false;
}

/// While a backend takes COPY data it ignores Sync, and libpq sends one ahead: those are answered
/// by nothing.
void Relay::copy_ended_by_client() {
  if (copying_in_) std::erase(expected_, Expected::kSync);
  copying_in_ = false;
}

bool Relay::refuse(std::string sqlstate, std::string message) {
  refusal_ = {.severity = "FATAL", .sqlstate = std::move(sqlstate), .message = std::move(message)};
  return false;
}

}  // namespace zorya::router
