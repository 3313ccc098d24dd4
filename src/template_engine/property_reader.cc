#include "template_engine/property_reader.h"

namespace zorya::template_engine {

Position PropertyReader::position(std::string_view name) const {
  const Value* found = properties_.find(name);
  return found == nullptr ? properties_.position : found->position;
}

void PropertyReader::refuse(std::string_view name, std::string message) {
  refusals_.add(position(name), place_ / name, std::move(message));
}

// SAM's words, and what would be right.
void PropertyReader::refuse_type(std::string_view name, std::string_view wanted) {
  refuse(name, "Property '" + std::string(name) + "' should be a " + std::string(wanted) + ".");
}

std::optional<Value> PropertyReader::value(std::string_view name) {
  const Value* found = properties_.find(name);
  if (found == nullptr) return std::nullopt;
  Value resolved = resolver_.resolve(*found, place_ / name, owner_);
  if (resolved.kind == Kind::kFailed || resolved.kind == Kind::kNoValue) return std::nullopt;
  return resolved;
}

std::optional<Value> PropertyReader::mapping(std::string_view name) {
  auto resolved = value(name);
  if (!resolved) return std::nullopt;
  if (resolved->is_mapping()) return resolved;
  refuse_type(name, "map");
  return std::nullopt;
}

std::optional<std::string> PropertyReader::string(std::string_view name) {
  auto resolved = value(name);
  if (!resolved) return std::nullopt;
  if (resolved->is_scalar()) return std::move(resolved->text);
  refuse_type(name, "string");
  return std::nullopt;
}

std::optional<long> PropertyReader::integer(std::string_view name, const IntegerRule& rule) {
  const auto resolved = value(name);
  if (!resolved) return std::nullopt;
  const auto number = as_integer(*resolved);
  if (!number) {
    refuse_type(name, "number");
    return std::nullopt;
  }
  if (*number >= rule.least && *number <= rule.most) return number;
  const bool small = *number < rule.least;
  refuse(name, "1 validation error detected: Value '" + resolved->text + "' at '" +
                   std::string(rule.service_name) +
                   "' failed to satisfy constraint: Member must have " + "value " +
                   (small ? "greater" : "less") + " than or equal to " +
                   std::to_string(small ? rule.least : rule.most));
  return std::nullopt;
}

std::optional<bool> PropertyReader::boolean(std::string_view name) {
  const auto resolved = value(name);
  if (!resolved) return std::nullopt;
  const auto truth = as_boolean(*resolved);
  if (!truth) refuse_type(name, "boolean");
  return truth;
}

}  // namespace zorya::template_engine
