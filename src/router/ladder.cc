#include "router/ladder.h"

namespace zorya::router {
namespace {

Verb cancel(const Holder& holder) {
  const bool again = holder.since_last >= kCancelAgain;
  return holder.last == Verb::kNone || again ? Verb::kCancel : Verb::kNone;
}

Verb gentle_verb(const Holder& holder) {
  switch (holder.stance) {
    case Relay::Stance::kInTransaction:
      return holder.may_tell ? Verb::kFail : cancel(holder);
    case Relay::Stance::kOpen:
      return holder.waits_for_client && holder.may_tell ? Verb::kFail : cancel(holder);
    case Relay::Stance::kCopyIn:
      return holder.may_tell ? Verb::kFailCopy : cancel(holder);
    case Relay::Stance::kBusy:
      return cancel(holder);
    case Relay::Stance::kIdle:
      // It is failing, or was done with while we asked.
      return Verb::kNone;
  }
  return Verb::kNone;
}

/// What was done to it cannot reach it.
bool feels_nothing(const Holder& holder) {
  if (holder.last == Verb::kNone) return false;
  return holder.waits_to_write || (holder.waits_for_client && holder.last == Verb::kCancel);
}

}  // namespace

Verb choose_verb(const Holder& holder) {
  if (holder.is_autovacuum) return cancel(holder);  // it ends by itself at its next row or page
  if (holder.last == Verb::kTerminate) return Verb::kNone;
  if (!holder.is_session) {
    // Nobody's message can reach it, and a cancel means nothing to who waits for its client.
    if (holder.waits_for_client) return Verb::kTerminate;
  } else if (const Verb gentle = gentle_verb(holder);
             gentle == Verb::kFail || gentle == Verb::kFailCopy) {
    return gentle;
  }
  if (feels_nothing(holder) && holder.since_first >= kPatience) return Verb::kTerminate;
  return holder.is_session ? gentle_verb(holder) : cancel(holder);
}

}  // namespace zorya::router
