#pragma once

#include "base/result.h"
#include "cli/arguments.h"
#include "cluster/client.h"

#include <string>
#include <string_view>

/// What a running instance asks its clusters' servers: how commits fare, and to force outcomes.
namespace zorya::cli {

/// {"figures", "conflicts", "times"} of sys.commit_stats, sys.conflict_stats and sys.commit_times,
/// as JSON; {"reason"} if the server does not tell within half a second.
std::string commit_path_json(const cluster::Clusters& clusters, std::string_view id);

/// The request as it goes over control.sock, and back. kInvalidArgument if it is none.
std::string force_text(const ForceArguments& arguments);
base::Result<ForceArguments> parse_force(std::string_view text);

/// Forces, lists or forgets outcomes on a cluster that serves tests; the answer is JSON: {"id"},
/// {"forced": [...]} or {"forgotten"}. PostgreSQL's words if it refuses.
base::Result<std::string> force(const cluster::Clusters& clusters, std::string_view id,
                                const ForceArguments& arguments);

}  // namespace zorya::cli
