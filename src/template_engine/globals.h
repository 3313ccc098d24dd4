#pragma once

#include "template_engine/refusals.h"

namespace zorya::template_engine {

/// Checks the Globals section: names, in SAM's own words. Null is an absent section.
void check_globals(const Value* globals, Refusals& refusals);

/// The section of that name ("Function"), or null.
const Value* global_section(const Value* globals, std::string_view name);

/// `local` with what `global` adds: mappings are merged key by key and the local key wins, lists
/// are the global one followed by the local one, and for anything else (function calls too) the
/// local value replaces the global one. Source of the rule: SAM's globals plugin.
Value merge_globals(const Value& global, const Value& local);

}  // namespace zorya::template_engine
