#include "router/doom.h"

namespace zorya::router {

using pgwire::SqlWord;
using pgwire::TransactionStatus;

Doom::Answer Doom::take(char type, SqlWord word) {
  if (phase_ == Phase::kUntold) return take_untold(type, word);
  if (type != 'S') return {};
  phase_ = Phase::kNone;
  return {.ready = end_};
}

Doom::Answer Doom::take_untold(char type, SqlWord word) {
  const TransactionStatus after = block_ ? TransactionStatus::kFailed : TransactionStatus::kIdle;
  switch (type) {
    case 'Q':
    case 'P':
    case 'B':
    case 'E':
    case 'D':
    case 'C':
    case 'F':
      break;
    case 'S':
      // The end of an implicit transaction would have been its COMMIT. In a block nothing was lost
      // by this Sync.
      if (!block_) phase_ = Phase::kNone;
      return {.tell = !block_, .ready = after};
    default:
      return {};  // Flush, and what is left of a COPY
  }
  if (word == SqlWord::kRollback) {
    phase_ = Phase::kNone;
    return {.forward = true};
  }
  const bool commits = word == SqlWord::kCommit;
  const TransactionStatus end = commits ? TransactionStatus::kIdle : after;
  Answer answer{.tell = true, .end_block = commits && block_};
  if (type == 'Q' || type == 'F') {
    phase_ = Phase::kNone;
    answer.ready = end;
  } else {
    become_skipping(end);
  }
  return answer;
}

}  // namespace zorya::router
