#pragma once

#include "iam/key_store.h"

#include <string_view>
#include <vector>

namespace zorya::iam {

enum class Decision { kAllowed, kDeniedBySilence, kDeniedExplicitly };

/// What the identity's policy says. Actions match whatever their case, resources in their case; '*'
/// and '?' match also ':' and '/'.
Decision decide(const Identity& identity, std::string_view action, std::string_view resource);

/// The statements of an identity policy document (JSON: {"Version", "Id", "Statement": object or
/// array}). What is not evaluated (Condition, NotAction, NotResource, Principal, NotPrincipal) and
/// what is unknown is refused by name with kUnimplemented or kInvalidArgument, never skipped.
base::Result<std::vector<Statement>> parse_policy(std::string_view json);

/// The document that parse_policy reads back to the same statements.
std::string policy_document(const std::vector<Statement>& statements);

}  // namespace zorya::iam
