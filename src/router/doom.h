#pragma once

#include "pgwire/messages.h"
#include "pgwire/sql_mark.h"

#include <functional>
#include <optional>

namespace zorya::router {

/// Why a transaction was ended from outside, as its client is told; made at the moment it is told.
using Reason = std::function<pgwire::ErrorReport()>;

/// What it was ended for.
enum class Cause { kSchemaChange, kAge };

/// What a session whose transaction was ended from outside answers, without its backend. Pure.
///
/// The first statement, or COMMIT, is answered with the reason; after that the backend, which is in
/// a failed block, answers for itself: 25P02, and the tag ROLLBACK to COMMIT. In the extended
/// protocol what follows the error is dropped up to Sync. ROLLBACK needs no error.
class Doom {
 public:
  enum class Phase : char {
    kNone,
    kFailing,   // the backend was told to fail the transaction: the client is held meanwhile
    kUntold,    // failed: the client is to be told
    kSkipping,  // told, in the extended protocol: everything up to Sync is dropped
  };

  struct Answer {
    bool forward = false;  // the message goes to the backend, and the session is doomed no more
    bool tell = false;     // ErrorResponse with the reason
    std::optional<pgwire::TransactionStatus> ready = {};  // then ReadyForQuery
    bool end_block = false;  // the backend's failed block is to be ended: COMMIT was answered
  };

  [[nodiscard]] Phase phase() const { return phase_; }
  /// It answers in the backend's place.
  [[nodiscard]] bool answers() const {
    return phase_ == Phase::kUntold || phase_ == Phase::kSkipping;
  }

  void begin_failing() { phase_ = Phase::kFailing; }
  void end() { phase_ = Phase::kNone; }
  /// The transaction has failed and the client does not know. `block`: it had said BEGIN.
  void become_untold(bool block) {
    phase_ = Phase::kUntold;
    block_ = block;
  }
  /// The client was told within an extended sequence that it has not ended yet.
  void become_skipping(pgwire::TransactionStatus end) {
    phase_ = Phase::kSkipping;
    end_ = end;
  }

  /// Answers a message of the client; `word`: what the statement that it runs or names does. Only
  /// while answers().
  Answer take(char type, pgwire::SqlWord word);

 private:
  Answer take_untold(char type, pgwire::SqlWord word);

  Phase phase_ = Phase::kNone;
  bool block_ = false;
  pgwire::TransactionStatus end_ = pgwire::TransactionStatus::kIdle;  // of kSkipping
};

}  // namespace zorya::router
