#pragma once

#include "query_processor/pg/server.h"

extern "C" {
#include "tcop/utility.h"
}

namespace zorya::query_processor::gate {

/// The arguments of ProcessUtility, so that it can be passed on from inside a guarded call.
struct UtilityCall {
  PlannedStmt* planned;
  const char* query;
  bool read_only_tree;
  ProcessUtilityContext context;
  ParamListInfo parameters;
  QueryEnvironment* environment;
  DestReceiver* destination;
  QueryCompletion* completion;
};

/// Gives the call to the next hook, or to PostgreSQL. Plain frame.
void pass_on(const UtilityCall& call);
/// The same for run_ddl and run_guarded, which know no type.
void pass_on_boxed(void* call);
/// Who comes after the gate; null for PostgreSQL itself. At load.
void set_next_utility(ProcessUtility_hook_type next);

}  // namespace zorya::query_processor::gate
