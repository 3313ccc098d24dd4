#include "template_engine/globals.h"

#include "template_engine/property_tables.h"

#include <algorithm>
#include <array>

namespace zorya::template_engine {
namespace {

constexpr std::array<std::string_view, 10> kSections = {
    "Api",          "CapacityProvider", "Function",    "HttpApi",      "LayerVersion",
    "MicrovmImage", "NetworkConnector", "SimpleTable", "StateMachine", "WebSocketApi"};

template <typename Names>
std::string quoted_list(const Names& names) {
  std::string text;
  for (const std::string_view name : names) {
    if (!text.empty()) text += ", ";
    text += "'" + std::string(name) + "'";
  }
  return "[" + text + "]";
}

template <typename Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void check_function_section(const Value& section, const Place& place, Refusals& refusals) {
  const auto allowed = function_globals();
  for (const Member& member : section.members) {
    if (contains(allowed, member.name)) continue;
    std::string message =
        "'Globals' section is invalid. '" + member.name +
        "' is not a supported property of 'Function'. Must be one of the following "
        "values - " +
        quoted_list(allowed);
    if (const auto meant = probable_name(member.name, function_properties()); !meant.empty()) {
      message += ". SAM calls this " + std::string(meant);
    }
    refusals.add(member.position, place / member.name, std::move(message));
  }
}

}  // namespace

void check_globals(const Value* globals, Refusals& refusals) {
  if (globals == nullptr) return;
  const Place place{{}, "Globals"};
  if (!globals->is_mapping()) {
    refusals.add(globals->position, place,
                 "'Globals' section is invalid. It must be a non-empty dictionary");
    return;
  }
  for (const Member& member : globals->members) {
    const Place section = place / member.name;
    if (!contains(kSections, member.name)) {
      refusals.add(member.position, section,
                   "'Globals' section is invalid. '" + member.name +
                       "' is not supported. Must be one of the following values - " +
                       quoted_list(kSections));
    } else if (member.name != "Function" && member.name != "Api") {
      refusals.add(member.position, section, "resources of this kind are not supported yet");
    } else if (!member.value.is_mapping() || intrinsic_name(member.value)) {
      refusals.add(
          member.value.position, section,
          "'Globals' section is invalid. Value of " + member.name + " must be a dictionary");
    } else if (member.name == "Function") {
      check_function_section(member.value, section, refusals);
    } else {
      check_members(member.value, api_globals(), section, refusals);
    }
  }
}

const Value* global_section(const Value* globals, std::string_view name) {
  if (globals == nullptr || !globals->is_mapping()) return nullptr;
  const Value* section = globals->find(name);
  return section != nullptr && section->is_mapping() ? section : nullptr;
}

Value merge_globals(const Value& global, const Value& local) {
  const bool calls = intrinsic_name(global).has_value() || intrinsic_name(local).has_value();
  if (calls || global.kind != local.kind) return local;
  if (global.is_sequence()) {
    Value list = local;
    list.items.insert(list.items.begin(), global.items.begin(), global.items.end());
    return list;
  }
  if (!global.is_mapping()) return local;
  Value merged(Kind::kMapping, local.position);
  for (const Member& member : global.members) {
    const Value* own = local.find(member.name);
    if (own == nullptr) {
      merged.members.push_back(member);
    } else {
      merged.members.push_back({member.name, member.position, merge_globals(member.value, *own)});
    }
  }
  for (const Member& member : local.members) {
    const Member* shared = nullptr;
    for (Member& one : merged.members) {
      if (one.name == member.name) {
        one.position = member.position;
        shared = &one;
      }
    }
    if (shared == nullptr) merged.members.push_back(member);
  }
  return merged;
}

}  // namespace zorya::template_engine
