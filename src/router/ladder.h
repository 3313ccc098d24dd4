#pragma once

#include "router/relay.h"

#include <chrono>

/// How a schema change gets the locks it waits for: what is done to who holds one, and when. Pure.
namespace zorya::router {

enum class Verb {
  kNone,       // wait for what was done, or for a better moment
  kFail,       // make the idle transaction fail
  kFailCopy,   // make the COPY that waits for its client fail
  kCancel,     // pg_cancel_backend
  kTerminate,  // pg_terminate_backend
};

/// Who holds a lock, as its own messages and the server tell.
struct Holder {
  bool is_session = false;  // one of the router's; what else holds a lock is cancelled
  bool is_autovacuum = false;
  Relay::Stance stance = Relay::Stance::kIdle;  // of a session
  bool may_tell = false;                        // a message of ours can go to its backend now
  bool waits_for_client = false;                // the server: it waits for the next message
  bool waits_to_write = false;                  // the server: its client does not read
  Verb last = Verb::kNone;                      // what was done to it
  std::chrono::milliseconds since_first{0};     // since the first was done
  std::chrono::milliseconds since_last{0};
};

/// What a cancel means nothing to, because it waits for its client, is terminated after this time.
/// All else ends as soon as it has a processor, however late, and would end no sooner. A schema
/// change waits 40 ms at once.
inline constexpr std::chrono::milliseconds kPatience{20};
/// A cancel that came between two statements is repeated after this time.
inline constexpr std::chrono::milliseconds kCancelAgain{8};

Verb choose_verb(const Holder& holder);

}  // namespace zorya::router
