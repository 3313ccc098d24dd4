#include "template_engine/api_events.h"

#include "template_engine/property_reader.h"
#include "template_engine/property_tables.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace zorya::template_engine {
namespace {

constexpr std::array<std::string_view, 23> kOtherEventTypes = {"HttpApi",
                                                               "Schedule",
                                                               "ScheduleV2",
                                                               "SQS",
                                                               "SNS",
                                                               "S3",
                                                               "EventBridgeRule",
                                                               "CloudWatchEvent",
                                                               "CloudWatchLogs",
                                                               "Cognito",
                                                               "AlexaSkill",
                                                               "IoTRule",
                                                               "DynamoDB",
                                                               "Kinesis",
                                                               "MSK",
                                                               "MQ",
                                                               "SelfManagedKafka",
                                                               "DocumentDB",
                                                               "WebSocketApi",
                                                               "GraphQLApi",
                                                               "CloudWatch",
                                                               "Lex",
                                                               "Custom"};

constexpr std::array<std::string_view, 8> kMethods = {"GET",   "POST",    "PUT",  "DELETE",
                                                      "PATCH", "OPTIONS", "HEAD", "ANY"};

std::string event_words(std::string_view event_id, std::string_view reason) {
  return "Event with id [" + std::string(event_id) + "] is invalid. " + std::string(reason);
}

std::string upper_case(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

bool is_part_text(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == ':' || c == ',';
  });
}

// "todos", "{id}" or "{proxy+}".
bool is_part(std::string_view part) {
  if (!part.starts_with('{')) return is_part_text(part);
  if (!part.ends_with('}')) return false;
  part = part.substr(1, part.size() - 2);
  if (part.ends_with('+')) part.remove_suffix(1);
  return is_part_text(part);
}

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

// Empty when the path is right.
std::string path_fault(std::string_view path) {
  if (!path.starts_with('/')) return "Path must begin with a slash";
  if (path.size() > 1 && path.ends_with('/')) return "Path may not end with a slash";
  const std::vector<std::string> parts = parts_of(path);
  std::set<std::string> names;
  for (std::size_t index = 0; index < parts.size(); ++index) {
    const std::string& part = parts[index];
    if (!is_part(part)) {
      return "Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and "
             "curly "
             "braces at the beginning and the end.";
    }
    if (part.ends_with("+}") && index + 1 < parts.size()) {
      return "Cannot create a child of a resource with a greedy path variable: " + part;
    }
    if (part.starts_with('{') && !names.insert(part).second) {
      return "the path variable " + part + " stands twice";
    }
  }
  return {};
}

class EventReader {
 public:
  EventReader(const Member& event, Place place, std::string function_name, Resolver& resolver,
              Refusals& refusals)
      : event_(event),
        place_(std::move(place)),
        function_name_(std::move(function_name)),
        resolver_(resolver),
        refusals_(refusals) {}

  std::optional<RoutedEvent> read() {
    if (!event_.value.is_mapping()) return refuse(event_.position, place_, "it must be a map");
    check_event_keys();
    const Value* type = event_.value.find("Type");
    if (type == nullptr || !type->is_scalar()) {
      return refuse(event_.position, place_ / "Type",
                    "Resource dict has missing or invalid value for key Type.");
    }
    if (type->text != "Api") return refuse_type(*type);
    const Value* properties = event_.value.find("Properties");
    const Value empty(Kind::kMapping, event_.position);
    if (properties == nullptr) properties = &empty;
    if (!properties->is_mapping()) {
      return refuse(properties->position, place_ / "Properties", "Properties should be a map.");
    }
    return read_api(*properties);
  }

 private:
  std::nullopt_t refuse(Position position, const Place& place, std::string_view reason) {
    refusals_.add(position, place, event_words(event_.name, reason));
    return std::nullopt;
  }

  void check_event_keys() {
    for (const Member& member : event_.value.members) {
      if (member.name == "Type" || member.name == "Properties") continue;
      refuse(member.position, place_ / member.name, "key " + member.name + " is not known here");
    }
  }

  std::nullopt_t refuse_type(const Value& type) {
    const bool known = std::find(kOtherEventTypes.begin(), kOtherEventTypes.end(), type.text) !=
                       kOtherEventTypes.end();
    return refuse(type.position, place_ / "Type",
                  known
                      ? "Event type " + type.text + " is not supported yet; Api is"
                      : "Resource dict has missing or invalid value for key Type. Event Type is: " +
                            type.text + ".");
  }

  // The member that was probably meant to be `name`, so that one refusal tells both.
  const Member* slip_of(const Value& properties, std::string_view name) {
    for (const Member& member : properties.members) {
      if (probable_name(member.name, api_event_properties()) == name && member.name != name) {
        return &member;
      }
    }
    return nullptr;
  }

  bool require(const Value& properties, std::string_view name) {
    if (properties.find(name) != nullptr) return true;
    const std::string reason = "Property '" + std::string(name) + "' is required.";
    if (const Member* slip = slip_of(properties, name)) {
      told_.insert(slip->name);
      refuse(slip->position, place_ / "Properties" / slip->name,
             reason + " SAM calls this " + std::string(name));
    } else {
      refuse(event_.position, place_ / "Properties", reason);
    }
    return false;
  }

  // What the table does not know and has not been told above.
  void check_properties(const Value& properties) {
    Value rest = properties;
    std::erase_if(rest.members, [&](const Member& member) { return told_.contains(member.name); });
    check_members(rest, api_event_properties(), place_ / "Properties", refusals_);
  }

  std::optional<RoutedEvent> read_api(const Value& properties) {
    const bool has_path = require(properties, "Path");
    const bool has_method = require(properties, "Method");
    check_properties(properties);
    check_api_id(properties);
    const auto path = has_path ? text_of(properties, "Path") : std::nullopt;
    const auto method = has_method ? text_of(properties, "Method") : std::nullopt;
    if (path) {
      if (const std::string fault = path_fault(*path); !fault.empty()) {
        return refuse(properties.find("Path")->position, place_ / "Properties" / "Path", fault);
      }
    }
    if (!path || !method) return std::nullopt;
    const std::string upper = upper_case(*method);
    if (std::find(kMethods.begin(), kMethods.end(), upper) == kMethods.end()) {
      return refuse(
          properties.find("Method")->position, place_ / "Properties" / "Method",
          "Method " + *method + " is none of GET, POST, PUT, DELETE, PATCH, OPTIONS, HEAD, ANY");
    }
    return RoutedEvent{{upper, *path, function_name_}, event_.position, place_, event_.name};
  }

  std::optional<std::string> text_of(const Value& properties, std::string_view name) {
    const Value& written = *properties.find(name);
    const Place place = place_ / "Properties" / name;
    const Value resolved = resolver_.resolve(written, place, kImplicitApi);
    if (resolved.kind == Kind::kFailed) return std::nullopt;
    const bool number = as_integer(resolved).has_value() && !resolved.quoted;
    if (resolved.is_scalar() && !number) return resolved.text;
    return refuse(written.position, place,
                  "Property '" + std::string(name) + "' should be a string.");
  }

  void check_api_id(const Value& properties) {
    const Value* id = properties.find("RestApiId");
    if (id == nullptr) return;
    const auto function = intrinsic_name(*id);
    const Value* target = function && *function == "Ref" ? &id->members.front().value : nullptr;
    if (target != nullptr && target->is_scalar() && target->text == kImplicitApi) return;
    refuse(id->position, place_ / "Properties" / "RestApiId",
           "RestApiId must be a valid reference to an 'AWS::Serverless::Api' resource in same "
           "template. "
           "Only the implicit API is supported yet: leave RestApiId out");
  }

  const Member& event_;
  Place place_;
  std::string function_name_;
  Resolver& resolver_;
  Refusals& refusals_;
  std::set<std::string> told_;
};

}  // namespace

bool has_api_event(const Value& properties) {
  const Value* events = properties.find("Events");
  if (events == nullptr || !events->is_mapping()) return false;
  return std::any_of(events->members.begin(), events->members.end(), [](const Member& event) {
    const Value* type = event.value.find("Type");
    return type != nullptr && type->text == "Api";
  });
}

std::vector<RoutedEvent> read_events(const Value& events, const Place& place,
                                     const std::string& function_name, Resolver& resolver,
                                     Refusals& refusals) {
  std::vector<RoutedEvent> routed;
  if (!events.is_mapping()) {
    refusals.add(events.position, place, "Type of property 'Events' is invalid.");
    return routed;
  }
  for (const Member& event : events.members) {
    EventReader reader(event, place / event.name, function_name, resolver, refusals);
    if (auto one = reader.read()) routed.push_back(std::move(*one));
  }
  return routed;
}

std::vector<Route> combine_routes(const std::vector<RoutedEvent>& events, Refusals& refusals) {
  std::vector<Route> routes;
  std::set<std::pair<std::string, std::string>> seen;
  std::map<std::string, std::string> variables;  // parent path → the variable part below it
  for (const RoutedEvent& event : events) {
    const auto refuse = [&](const std::string& reason) {
      refusals.add(event.position, event.place, event_words(event.event_id, reason));
    };
    if (!seen.insert({event.route.method, event.route.path}).second) {
      const std::string name = event.route.method == "ANY" ? "x-amazon-apigateway-any-method"
                                                           : lower_case(event.route.method);
      refuse("API method \"" + name + "\" defined multiple times for path \"" + event.route.path +
             "\".");
      continue;
    }
    std::string parent;
    for (const std::string& part : parts_of(event.route.path)) {
      if (part.starts_with('{')) {
        const auto [known, fresh] = variables.emplace(parent, part);
        if (!fresh && known->second != part) {
          refuse("A sibling (" + known->second +
                 ") of this resource already has a variable path part -- only one is allowed");
        }
      }
      parent += "/" + part;
    }
    routes.push_back(event.route);
  }
  return routes;
}

}  // namespace zorya::template_engine
