#include "template_engine/intrinsics.h"

#include "template_engine/stable_id.h"

#include <algorithm>
#include <utility>

namespace zorya::template_engine {
namespace {

constexpr std::string_view kJoinWords =
    "Template error: every Fn::Join object requires two parameters, (1) a string delimiter and (2) "
    "a "
    "list of strings to be joined or a function that returns a list of strings (such as "
    "Fn::GetAZs) "
    "to be joined.";
constexpr std::string_view kSubWords =
    "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. "
    "Specify "
    "a string as first argument, and an optional second argument to specify a mapping of values to "
    "replace in the string";
constexpr std::string_view kGetAttWords =
    "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name "
    "and "
    "the resource attribute";

std::string stack_id(const Context& context) {
  const std::string id = stable_id({context.seed, "stack", context.stack, {}}, 32);
  std::string uuid;
  // The form of a UUID; the digits need not be hexadecimal for anyone who keeps it as an opaque id,
  // but some check: fold every character into one hexadecimal digit.
  constexpr std::string_view kHex = "0123456789abcdef";
  for (std::size_t index = 0; index < id.size(); ++index) {
    if (index == 8 || index == 12 || index == 16 || index == 20) uuid += '-';
    uuid += kHex[static_cast<unsigned char>(id[index]) % kHex.size()];
  }
  return "arn:aws:cloudformation:" + context.region + ":" + context.account + ":stack/" +
         context.stack + "/" + uuid;
}

bool is_variable_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == ':';
}

}  // namespace

Resolver::Resolver(Refusals& refusals, const Context& context) : refusals_(refusals) {
  const auto set = [&](const char* name, std::string text) {
    pseudo_[name] = make_scalar(std::move(text), {});
  };
  set("AWS::AccountId", context.account);
  set("AWS::Partition", "aws");
  set("AWS::Region", context.region);
  set("AWS::StackId", stack_id(context));
  set("AWS::StackName", context.stack);
  set("AWS::URLSuffix", "amazonaws.com");
  pseudo_["AWS::NotificationARNs"] = Value(Kind::kSequence);
  pseudo_["AWS::NoValue"] = Value(Kind::kNoValue);
}

Value Resolver::resolve(const Value& value, const Place& place, std::string_view owner) {
  return resolve_value(value, {place, owner});
}

Value Resolver::fail(Position position, const Where& where, std::string message) {
  refusals_.add(position, where.place, std::move(message));
  return Value(Kind::kFailed, position);
}

Value Resolver::resolve_value(const Value& value, const Where& where) {
  switch (value.kind) {
    case Kind::kNull:
      return fail(value.position, where,
                  "Template format error: null values are not allowed in templates");
    case Kind::kScalar:
      if (value.text.find("{{resolve:") != std::string::npos) {
        return fail(value.position, where,
                    "dynamic references ({{resolve:…}}) are not supported yet");
      }
      return value;
    case Kind::kSequence: {
      Value result(Kind::kSequence, value.position);
      for (const Value& item : value.items) {
        Value resolved = resolve_value(item, where);
        if (resolved.kind != Kind::kNoValue) result.items.push_back(std::move(resolved));
      }
      return result;
    }
    case Kind::kMapping:
      return resolve_mapping(value, where);
    case Kind::kNoValue:
    case Kind::kFailed:
      return value;
  }
  return value;
}

Value Resolver::resolve_mapping(const Value& value, const Where& where) {
  if (const auto function = intrinsic_name(value)) return call(*function, value, where);
  Value result(Kind::kMapping, value.position);
  for (const Member& member : value.members) {
    if (member.name.starts_with("Fn::")) {
      return fail(member.position, where, member.name + " may not stand beside other keys");
    }
    Value resolved = resolve_value(member.value, where);
    if (resolved.kind == Kind::kNoValue) continue;
    result.members.push_back({member.name, member.position, std::move(resolved)});
  }
  return result;
}

Value Resolver::call(std::string_view function, const Value& call, const Where& where) {
  const Value& argument = call.members.front().value;
  if (function == "Ref") return call_ref(argument, where);
  if (function == "Fn::GetAtt") return call_get_att(argument, where);
  if (function == "Fn::Sub") return call_sub(argument, where);
  if (function == "Fn::Join") return call_join(argument, where);
  return fail(call.position, where,
              "function " + std::string(function) +
                  " is not supported yet; Ref, Fn::GetAtt, Fn::Sub and Fn::Join are");
}

Value Resolver::call_ref(const Value& argument, const Where& where) {
  if (!argument.is_scalar() || argument.text.empty()) {
    return fail(argument.position, where,
                "Template error: every Ref object must have a single String value.");
  }
  return name_value(argument.text, argument.position, where);
}

Value Resolver::name_value(std::string_view name, Position position, const Where& where) {
  const std::string key(name);
  if (const auto found = pseudo_.find(key); found != pseudo_.end()) return found->second;
  if (const auto found = parameters_.find(key); found != parameters_.end()) return found->second;
  const auto found = resources_.find(key);
  if (found == resources_.end()) {
    const bool in_outputs = where.place.logical_id.empty();
    return fail(position, where,
                "Template format error: Unresolved resource dependencies [" + key + "] in the " +
                    (in_outputs ? "Outputs" : "Resources") + " block of the template");
  }
  if (const auto why = found->second.unavailable.find("Ref");
      why != found->second.unavailable.end()) {
    return fail(position, where, "Ref " + key + " cannot be given: " + why->second);
  }
  if (!where.owner.empty()) references_[std::string(where.owner)].insert(key);
  return make_scalar(found->second.ref, position);
}

Value Resolver::attribute_value(const std::string& id, const std::string& attribute,
                                Position position, const Where& where) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) {
    return fail(position, where,
                "Template error: instance of Fn::GetAtt references undefined resource " + id);
  }
  const ResourceNames& names = found->second;
  if (const auto why = names.unavailable.find(attribute); why != names.unavailable.end()) {
    return fail(position, where, id + "." + attribute + " cannot be given: " + why->second);
  }
  const auto value = names.attributes.find(attribute);
  if (value == names.attributes.end()) {
    return fail(position, where,
                "Template error: resource " + id + " does not support attribute type " + attribute +
                    " in Fn::GetAtt");
  }
  if (!where.owner.empty()) references_[std::string(where.owner)].insert(id);
  return make_scalar(value->second, position);
}

Value Resolver::call_get_att(const Value& argument, const Where& where) {
  const bool pair = argument.is_sequence() && argument.items.size() == 2 &&
                    argument.items[0].is_scalar() && argument.items[1].is_scalar() &&
                    !argument.items[0].text.empty() && !argument.items[1].text.empty();
  if (!pair) return fail(argument.position, where, std::string(kGetAttWords));
  return attribute_value(argument.items[0].text, argument.items[1].text, argument.position, where);
}

Value Resolver::call_sub(const Value& argument, const Where& where) {
  if (argument.is_scalar()) return substitute(argument, {}, where);
  const bool pair = argument.is_sequence() && argument.items.size() == 2 &&
                    argument.items[0].is_scalar() && argument.items[1].is_mapping();
  if (!pair) return fail(argument.position, where, std::string(kSubWords));
  std::map<std::string, Value> variables;
  for (const Member& member : argument.items[1].members) {
    Value value = resolve_value(member.value, where);
    if (value.kind == Kind::kFailed) return value;
    if (!value.is_scalar()) {
      return fail(member.position, where,
                  "Fn::Sub: the value of " + member.name + " must be a string");
    }
    variables[member.name] = std::move(value);
  }
  return substitute(argument.items[0], variables, where);
}

Value Resolver::substitute(const Value& text, const std::map<std::string, Value>& variables,
                           const Where& where) {
  std::string result;
  std::string_view rest = text.text;
  bool failed = false;
  while (true) {
    const std::size_t start = rest.find("${");
    const std::size_t end = start == std::string_view::npos ? start : rest.find('}', start);
    if (end == std::string_view::npos) break;
    result += rest.substr(0, start);
    const std::string_view name = rest.substr(start + 2, end - start - 2);
    rest.remove_prefix(end + 1);
    if (name.starts_with('!')) {
      result.append("${").append(name.substr(1)).append("}");
      continue;
    }
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_variable_character)) {
      return fail(text.position, where,
                  "Template error: variable names in Fn::Sub syntax must contain only alphanumeric "
                  "characters, underscores, periods, and colons");
    }
    Value value;
    const std::size_t dot = name.find('.');
    if (const auto own = variables.find(std::string(name)); own != variables.end()) {
      value = own->second;
    } else if (dot == std::string_view::npos || resources_.contains(std::string(name))) {
      value = name_value(name, text.position, where);
    } else {
      value = attribute_value(std::string(name.substr(0, dot)), std::string(name.substr(dot + 1)),
                              text.position, where);
    }
    if (value.is_scalar()) {
      result += value.text;
    } else {
      if (value.kind != Kind::kFailed) {
        fail(text.position, where, "Fn::Sub: ${" + std::string(name) + "} is not a string");
      }
      failed = true;
    }
  }
  if (failed) return Value(Kind::kFailed, text.position);
  result += rest;
  Value scalar = make_scalar(std::move(result), text.position);
  scalar.quoted = true;
  return scalar;
}

Value Resolver::call_join(const Value& argument, const Where& where) {
  if (!argument.is_sequence() || argument.items.size() != 2 || !argument.items[0].is_scalar()) {
    return fail(argument.position, where, std::string(kJoinWords));
  }
  Value list = resolve_value(argument.items[1], where);
  if (list.kind == Kind::kFailed) return list;
  if (!list.is_sequence()) return fail(argument.position, where, std::string(kJoinWords));
  std::string joined;
  for (std::size_t index = 0; index < list.items.size(); ++index) {
    const Value& item = list.items[index];
    if (item.kind == Kind::kFailed) return item;
    if (!item.is_scalar()) return fail(item.position, where, std::string(kJoinWords));
    if (index > 0) joined += argument.items[0].text;
    joined += item.text;
  }
  Value scalar = make_scalar(std::move(joined), argument.position);
  scalar.quoted = true;
  return scalar;
}

}  // namespace zorya::template_engine
