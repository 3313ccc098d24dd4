#pragma once

#include "template_engine/refusals.h"

namespace zorya::template_engine {

/// The statements of a function's Policies property (already resolved): one policy document or a
/// list of them. Managed policies and SAM policy templates are refused by name.
std::vector<iam::Statement> read_policies(const Value& policies, const Place& place,
                                          Refusals& refusals);

}  // namespace zorya::template_engine
