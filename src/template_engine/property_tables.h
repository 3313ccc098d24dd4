#pragma once

#include "template_engine/refusals.h"

#include <span>
#include <string_view>

namespace zorya::template_engine {

enum class Treatment {
  kRead,     // has its effect
  kNoted,    // taken and told to have no effect here
  kRefused,  // a template that says it is not taken
};

struct PropertyRule {
  std::string_view name;
  Treatment treatment;
  std::string_view remark;
};

/// One place of a template: every name that SAM or CloudFormation knows there, and no other.
struct PropertyTable {
  std::string_view title;    // for the document
  std::string_view unknown;  // words for an unknown name, "{}" is the name
  std::span<const PropertyRule> rules;
};

const PropertyTable& template_sections();
const PropertyTable& resource_attributes();
const PropertyTable& function_properties();
const PropertyTable& api_event_properties();
const PropertyTable& cluster_properties();
const PropertyTable& api_globals();
const PropertyTable& parameter_keys();
const PropertyTable& output_keys();
const PropertyTable& statement_keys();
std::span<const PropertyTable* const> all_tables();

/// Names that SAM allows under Globals.Function.
std::span<const std::string_view> function_globals();

/// Refuses every member of `mapping` that the table refuses or does not know, with the name that
/// was probably meant, and notes what has no effect.
void check_members(const Value& mapping, const PropertyTable& table, const Place& place,
                   Refusals& refusals);

/// The name of the table that `name` probably stands for ("Methods" → "Method"); empty if none.
std::string_view probable_name(std::string_view name, const PropertyTable& table);

}  // namespace zorya::template_engine
