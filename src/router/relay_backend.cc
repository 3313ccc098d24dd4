// What a backend sends, on its way to the client.
#include "query_processor/gate/settings.h"
#include "router/error_map.h"
#include "router/relay.h"

namespace zorya::router {
namespace {

namespace gate = query_processor::gate;
using pgwire::TransactionStatus;
using Kind = Awaited::Kind;

bool is_our_failure(const pgwire::ErrorFields& error) {
  return error['C'] == "42601" && error['M'].find(Relay::own_word()) != std::string_view::npos;
}

}  // namespace

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
      if (relay_.cancel_sent_) relay_.cancel_expected_ = false;  // else another is on its way
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
    } else if (state == kCatalogueNotice) {
      relay_.catalogue_seen_ = (*fields)['M'];
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

RelayStatus Relay::from_backend(std::string_view in, std::string& to_client) {
  BackendSide side(*this, to_client);
  if (backend_cutter_.feed(in, side) == pgwire::CutStatus::kOk) return RelayStatus::kGoesOn;
  return dropped_ ? RelayStatus::kDropped : RelayStatus::kBroken;
}

}  // namespace zorya::router
