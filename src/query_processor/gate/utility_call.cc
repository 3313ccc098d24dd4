#include "query_processor/gate/utility_call.h"

namespace zorya::query_processor::gate {
namespace {

ProcessUtility_hook_type next_utility = nullptr;

}  // namespace

void set_next_utility(ProcessUtility_hook_type next) { next_utility = next; }

void pass_on(const UtilityCall& call) {
  const auto next = next_utility != nullptr ? next_utility : standard_ProcessUtility;
  next(call.planned, call.query, call.read_only_tree, call.context, call.parameters,
       call.environment, call.destination, call.completion);
}

void pass_on_boxed(void* call) { pass_on(*static_cast<UtilityCall*>(call)); }

}  // namespace zorya::query_processor::gate
