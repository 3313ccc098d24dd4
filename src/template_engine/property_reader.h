#pragma once

#include "template_engine/intrinsics.h"

#include <optional>
#include <string>
#include <string_view>

namespace zorya::template_engine {

/// Bounds of a whole number and the name the service gives it in its refusal ("memorySize").
struct IntegerRule {
  long least;
  long most;
  std::string_view service_name;
};

/// Reads single properties of one mapping: resolves, checks the form, refuses what does not fit.
/// Nothing is returned for what is absent or has been refused. Everything referred to outlives this
/// object.
class PropertyReader {
 public:
  PropertyReader(const Value& properties, Place place, std::string owner, Resolver& resolver,
                 Refusals& refusals)
      : properties_(properties),
        place_(std::move(place)),
        owner_(std::move(owner)),
        resolver_(resolver),
        refusals_(refusals) {}

  [[nodiscard]] bool has(std::string_view name) const { return properties_.find(name) != nullptr; }
  /// Of the property's value, or of the whole mapping if it is absent.
  [[nodiscard]] Position position(std::string_view name) const;
  [[nodiscard]] const Place& place() const { return place_; }

  std::optional<Value> value(std::string_view name);
  std::optional<Value> mapping(std::string_view name);
  std::optional<std::string> string(std::string_view name);
  std::optional<long> integer(std::string_view name, const IntegerRule& rule);
  std::optional<bool> boolean(std::string_view name);

  void refuse(std::string_view name, std::string message);

 private:
  void refuse_type(std::string_view name, std::string_view wanted);

  const Value& properties_;
  Place place_;
  std::string owner_;
  Resolver& resolver_;
  Refusals& refusals_;
};

}  // namespace zorya::template_engine
