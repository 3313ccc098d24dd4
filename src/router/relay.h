#pragma once

#include "pgwire/frame.h"
#include "pgwire/messages.h"

#include <cstddef>
#include <deque>
#include <set>
#include <string>
#include <string_view>

namespace zorya::router {

enum class RelayStatus {
  kGoesOn,
  kTerminated,  // the client said goodbye
  kRefused,     // the client broke a rule: see Relay::refusal()
  kBroken,      // the backend sent what is no protocol
  kDropped,     // a test asked that the client's connection ends here, without a word
};

/// What passes between a client and its backend once both are logged in: bytes in, bytes out, no
/// sockets. It cuts messages, follows the transaction's state, refuses what the service refuses
/// (FunctionCall, messages over 10 MiB, unknown types), marks ASYNC, makes a row of a job's id,
/// maps errors, and hides what is between the extension and us.
class Relay {
 public:
  /// `message_bytes_max` bounds each message of the client.
  explicit Relay(pgwire::TransactionStatus status,
                 std::uint32_t message_bytes_max = pgwire::kClientMessageBytesMax)
      : client_cutter_(message_bytes_max, message_bytes_max), status_(status) {}

  /// Appends to `to_backend` what the backend is to get.
  RelayStatus from_client(std::string_view in, std::string& to_backend);
  /// Appends to `to_client` what the client is to get.
  RelayStatus from_backend(std::string_view in, std::string& to_client);

  [[nodiscard]] const pgwire::ErrorReport& refusal() const { return refusal_; }
  [[nodiscard]] pgwire::TransactionStatus transaction_status() const { return status_; }
  /// Something was sent for which ReadyForQuery has not come yet.
  [[nodiscard]] bool is_busy() const { return !expected_.empty(); }
  /// True if what the client has got so far ends with a whole message, so that one of ours may
  /// follow.
  [[nodiscard]] bool may_tell_client() const { return backend_cutter_.at_boundary(); }
  /// The client has been told a FATAL error.
  [[nodiscard]] bool has_told_fatal() const { return told_fatal_; }

 private:
  class ClientSide;
  class BackendSide;

  /// What the backend has still to answer, in order. An error in extended messages makes it skip to
  /// the next Sync.
  enum class Expected : char {
    kExtended,       // one or more of Parse, Bind, Execute, Close
    kDescribe,       // RowDescription or NoData
    kDescribeAsync,  // of a statement that returns a job's id
    kSync,
    kQuery,
    kRefusedCall,  // a query that fails, in the place of a FunctionCall
  };

  void expect(Expected what);
  void expect_extended();
  [[nodiscard]] bool is_simple() const;
  Expected described();
  void ready();
  void copy_ended_by_client();
  bool refuse(std::string sqlstate, std::string message);

  pgwire::FrameCutter client_cutter_;
  // The backend is ours; the bound is PostgreSQL's own. What we look at is never so large.
  pgwire::FrameCutter backend_cutter_{1u << 30, 64u << 20};
  pgwire::TransactionStatus status_;
  std::deque<Expected> expected_;
  bool skipping_ = false;  // the backend reads on to the next Sync
  bool copying_in_ = false;
  bool told_fatal_ = false;
  bool dropped_ = false;
  std::set<std::string, std::less<>> async_statements_;
  std::set<std::string, std::less<>> async_portals_;
  pgwire::ErrorReport refusal_;
};

}  // namespace zorya::router
