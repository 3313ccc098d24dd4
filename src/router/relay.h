#pragma once

#include "pgwire/frame.h"
#include "pgwire/messages.h"
#include "router/async_names.h"
#include "router/awaited.h"
#include "router/doom.h"
#include "router/router.h"
#include "router/session_memory.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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
///
/// A transaction can be ended from outside (a schema change needs its locks, it grew too old, its
/// backend was lost): then it answers in the backend's place (doom.h), so that the session lives.
class Relay {
 public:
  /// `counts` outlives it; `message_bytes_max` bounds each message of the client.
  Relay(pgwire::TransactionStatus status, LossCounts& counts,
        std::uint32_t message_bytes_max = pgwire::kClientMessageBytesMax)
      : client_cutter_(message_bytes_max, message_bytes_max, kHeldBytesMax),
        counts_(counts),
        status_(status) {}

  /// Appends to `to_backend` what the backend is to get, and to `to_client` what the client gets
  /// without asking the backend; the latter comes first. Not while holds_client().
  RelayStatus from_client(std::string_view in, std::string& to_backend, std::string& to_client);
  /// Appends to `to_client` what the client is to get.
  RelayStatus from_backend(std::string_view in, std::string& to_client);

  [[nodiscard]] const pgwire::ErrorReport& refusal() const { return refusal_; }
  [[nodiscard]] pgwire::TransactionStatus transaction_status() const { return status_; }
  /// Something was sent for which ReadyForQuery has not come yet.
  [[nodiscard]] bool is_busy() const { return !awaited_.empty(); }
  /// True if what the client has got so far ends with a whole message, so that one of ours may
  /// follow.
  [[nodiscard]] bool may_tell_client() const { return backend_cutter_.passed_whole(); }
  /// The client has been told a FATAL error.
  [[nodiscard]] bool has_told_fatal() const { return told_fatal_; }
  /// A schema change runs that may wait for locks.
  [[nodiscard]] bool changes_schema() const { return changes_schema_; }
  /// One has begun since this was asked last.
  bool takes_schema_change() { return std::exchange(schema_change_begun_, false); }
  /// The backend ended because its transaction was too old.
  [[nodiscard]] bool has_aged() const { return aged_; }
  /// Which version of the catalogue the session has seen, as the backend that takes a lost one's
  /// place is told; empty: none yet, or it knows of every change.
  [[nodiscard]] const std::string& catalogue_seen() const { return catalogue_seen_; }
  void forget_catalogue_seen() { catalogue_seen_.clear(); }
  [[nodiscard]] const SessionMemory& memory() const { return memory_; }
  [[nodiscard]] SessionMemory& memory() { return memory_; }

  /// What the session does, as far as messages tell.
  enum class Stance {
    kIdle,           // no transaction that could hold a lock
    kInTransaction,  // idle in a block
    kOpen,           // extended messages without a Sync: idle, or running one of them
    kCopyIn,         // the backend wants COPY data
    kBusy,
  };
  [[nodiscard]] Stance stance() const;
  /// The backend waits for the client, in a transaction, as far as messages tell.
  [[nodiscard]] bool is_waiting_in_transaction() const {
    const Stance now = stance();
    return now != Stance::kIdle && now != Stance::kBusy;
  }
  /// A message of ours may follow what the backend has got so far.
  [[nodiscard]] bool may_tell_backend() const { return client_cutter_.passed_whole(); }

  /// Ends the transaction of a session that is kInTransaction or kOpen: appends what makes the
  /// backend fail it. The client is held until that is answered, then told `reason`.
  void fail_transaction(Cause cause, Reason reason, std::string& to_backend);
  /// Ends the COPY of a session that is kCopyIn; its error reads as `reason`.
  void fail_copy(Cause cause, Reason reason, std::string& to_backend);
  /// A cancel is on its way to the backend: if it strikes, the error reads as `reason`.
  void expect_cancel(Reason reason);
  /// The cancel was sent, or not: what the client sends from now on is not struck by it.
  void cancel_was_sent(bool sent);
  /// The client's messages must wait.
  [[nodiscard]] bool holds_client() const { return doom_.phase() == Doom::Phase::kFailing; }

  /// The backend is gone, with all that it had still to answer. Appends what the client is told
  /// now: `reason` if the transaction is certain not to have committed, else "server unavailable".
  /// False if the client cannot be told, because it has got half a message.
  bool lose_backend(const Reason& reason, std::string& to_client);
  /// There is no backend for what the client sent: it is told "server unavailable".
  void refuse_without_backend(std::string& to_client);
  [[nodiscard]] bool has_backend() const { return has_backend_; }
  /// A backend stands in for the lost one, in a failed block if transaction_status() says so.
  void take_backend() { has_backend_ = true; }

  /// The word by which each backend knows our own messages (gate/router_word.h). Alone it is a
  /// query that fails its transaction.
  static std::string_view own_word();

 private:
  class ClientSide;
  class BackendSide;

  bool refuse(std::string sqlstate, std::string message);
  void tell(std::string& out, const Reason& reason);
  void finish_failing();
  [[nodiscard]] bool awaits_own() const;
  void copy_ended_by_client();
  void answer_awaited(const Reason& reason, std::string& to_client);
  /// The end of the transaction's block may be on its way, or come by a portal that is bound to it.
  [[nodiscard]] bool end_may_be_ahead() const { return end_ahead_ || end_is_bound_; }
  [[nodiscard]] bool may_commit() const;

  // Messages up to this size are handed through whole, so that the stream can go on after a loss.
  static constexpr std::uint32_t kHeldBytesMax = 64 << 10;

  pgwire::FrameCutter client_cutter_;
  // The backend is ours; the bound is PostgreSQL's own. What we look at is never so large.
  pgwire::FrameCutter backend_cutter_{1u << 30, 64u << 20, kHeldBytesMax};
  LossCounts& counts_;
  pgwire::TransactionStatus status_;
  Awaited awaited_;
  Doom doom_;
  SessionMemory memory_;
  std::string catalogue_seen_;
  Reason reason_;                   // of the doom, or of the cancel
  bool cancel_expected_ = false;    // 57014 reads as the reason
  bool cancel_sent_ = false;        // and it is past all that is sent from now on
  bool failed_on_its_own_ = false;  // while failing: the client's statement did so first
  bool was_open_ = false;           // while failing: extended messages without a Sync
  bool aborted_ = false;            // the backend said at its end that nothing was committed
  bool aged_ = false;               // the backend ended because its transaction was too old
  bool end_is_bound_ = false;       // to a portal with a name, in this transaction
  bool end_ahead_ = false;          // the end of its block may be on its way
  bool changes_schema_ = false;
  bool schema_change_begun_ = false;
  bool has_backend_ = true;
  bool copying_in_ = false;
  bool told_fatal_ = false;
  bool dropped_ = false;
  AsyncNames async_names_;
  pgwire::ErrorReport refusal_;
};

}  // namespace zorya::router
