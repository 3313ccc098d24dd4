#pragma once

#include "template_engine/refusals.h"
#include "template_engine/template_engine.h"

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace zorya::template_engine {

/// What Ref and GetAtt of one logical id give.
struct ResourceNames {
  std::string ref;  // empty: there is no value for a Ref
  std::map<std::string, std::string, std::less<>> attributes;
  /// Attributes (or "Ref") that the service has and we cannot give, with the reason.
  std::map<std::string, std::string, std::less<>> unavailable;
};

/// Which resource needs which: an edge for each Ref, GetAtt and Sub.
using References = std::map<std::string, std::set<std::string>>;

/// Evaluates Ref, Fn::GetAtt, Fn::Sub and Fn::Join; refuses every other function by name.
class Resolver {
 public:
  /// The references outlive this object.
  Resolver(Refusals& refusals, const Context& context);

  void set_parameter(std::string name, Value value) {
    parameters_[std::move(name)] = std::move(value);
  }
  /// Until this is called, a name that is no parameter is refused as not known yet.
  void set_resources(std::map<std::string, ResourceNames> resources) {
    resources_ = std::move(resources);
  }
  [[nodiscard]] bool knows_resource(std::string_view name) const {
    return resources_.contains(std::string(name));
  }

  /// The value with every function replaced by what it gives. What cannot be given has kind
  /// kFailed, and has been refused; what `Ref AWS::NoValue` removed is gone. `owner` is the
  /// resource that needs what is referred to; empty in Outputs.
  Value resolve(const Value& value, const Place& place, std::string_view owner);

  [[nodiscard]] const References& references() const { return references_; }

 private:
  struct Where {
    const Place& place;
    std::string_view owner;
  };
  Value resolve_value(const Value& value, const Where& where);
  Value resolve_mapping(const Value& value, const Where& where);
  Value call(std::string_view function, const Value& call, const Where& where);
  Value call_ref(const Value& argument, const Where& where);
  Value call_get_att(const Value& argument, const Where& where);
  Value call_sub(const Value& argument, const Where& where);
  Value call_join(const Value& argument, const Where& where);
  Value name_value(std::string_view name, Position position, const Where& where);
  Value attribute_value(const std::string& id, const std::string& attribute, Position position,
                        const Where& where);
  Value substitute(const Value& text, const std::map<std::string, Value>& variables,
                   const Where& where);
  Value fail(Position position, const Where& where, std::string message);

  Refusals& refusals_;
  std::map<std::string, Value, std::less<>> pseudo_;
  std::map<std::string, Value> parameters_;
  std::map<std::string, ResourceNames> resources_;
  References references_;
};

}  // namespace zorya::template_engine
