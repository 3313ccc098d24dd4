#include "router/ladder.h"

namespace zorya::router {
namespace {

Verb cancel(const Holder& holder) {
  const bool again = holder.since_last >= kCancelAgain;
  return holder.last == Verb::kNone || again ? Verb::kCancel : Verb::kNone;
}

}  // namespace

Verb choose_verb(const Holder& holder) {
  if (holder.is_autovacuum) return cancel(holder);  // it ends by itself at its next row or page
  if (holder.last == Verb::kTerminate) return Verb::kNone;
  if (holder.last != Verb::kNone && holder.since_first >= kPatience) return Verb::kTerminate;
  if (!holder.is_session) {
    // Nobody's message can reach it, and a cancel means nothing to who waits for its client.
    return holder.waits_for_client ? Verb::kTerminate : cancel(holder);
  }
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
      // It is failing, or was done with while we asked: if it is there again its patience ends.
      return Verb::kNone;
  }
  return Verb::kNone;
}

}  // namespace zorya::router
