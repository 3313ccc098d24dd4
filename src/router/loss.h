#pragma once

#include "pgwire/messages.h"
#include "router/awaited.h"

#include <functional>
#include <string>

/// What a client is told of a backend that went before it had answered all. Pure.
namespace zorya::router {

/// How things stood when it went.
struct BeforeLoss {
  pgwire::TransactionStatus status;
  bool end_may_be_ahead;  // the end of the transaction's block may be on its way
  bool said_aborted;      // the backend said at its end that nothing was committed
};

/// How the session goes on.
struct AfterLoss {
  enum class Then {
    kNothing,  // all is told
    kUntold,   // the client is to be told at its next statement: it idled in a block
    kSkips,    // told within an extended sequence, which goes on to its Sync
  };
  pgwire::TransactionStatus status;
  Then then;
};

/// Answers all that was awaited, each in its turn, as a backend would whose transaction had failed.
/// `tell` appends the reason, and is asked only where it is certain that nothing was committed;
/// what is not certain is "server unavailable".
AfterLoss answer_awaited(const Awaited& awaited, const BeforeLoss& before,
                         const std::function<void(std::string&)>& tell, std::string& to_client);

}  // namespace zorya::router
