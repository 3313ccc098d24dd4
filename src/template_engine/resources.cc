#include "template_engine/resources.h"

#include "template_engine/globals.h"
#include "template_engine/property_reader.h"
#include "template_engine/property_tables.h"
#include "template_engine/stable_id.h"

#include <algorithm>

namespace zorya::template_engine {
namespace {

constexpr std::size_t kMaxNameBytes = 64;
constexpr std::size_t kMaxResources = 500;

bool is_logical_id(std::string_view name) {
  return !name.empty() && name.size() <= 255 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
}

bool is_function_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_';
         });
}

// "<stack>-<logical id>-<12 characters>", each part cut as CloudFormation does when it is too long.
std::string generated_name(const Context& context, std::string_view purpose,
                           std::string_view logical_id) {
  const std::string suffix = stable_id({context.seed, purpose, context.stack, logical_id}, 12);
  std::string name = context.stack + "-" + std::string(logical_id);
  if (name.size() + 13 > kMaxNameBytes) {
    name = context.stack.substr(0, 24) + "-" + std::string(logical_id.substr(0, 24));
  }
  return name + "-" + suffix;
}

// Which of the globals a resource takes: "*" in IgnoreGlobals takes none.
Value globals_for(const Value& section, const Value* ignored, const Place& place,
                  Refusals& refusals) {
  Value taken = section;
  if (ignored == nullptr) return taken;
  if (ignored->is_scalar() && ignored->text == "*") {
    taken.members.clear();
  } else if (ignored->is_sequence()) {
    const auto allowed = function_globals();
    for (const Value& name : ignored->items) {
      if (std::find(allowed.begin(), allowed.end(), name.text) == allowed.end()) {
        refusals.add(name.position, place / "IgnoreGlobals",
                     "Resource attribute 'IgnoreGlobals' is invalid: " + name.text +
                         " is not a property that Globals can set");
      }
      std::erase_if(taken.members, [&](const Member& member) { return member.name == name.text; });
    }
  } else {
    refusals.add(ignored->position, place / "IgnoreGlobals",
                 "must be \"*\" or a list of property names");
  }
  return taken;
}

class Survey {
 public:
  Survey(const Value* globals, const Context& context, Resolver& resolver, Refusals& refusals)
      : globals_(globals), context_(context), resolver_(resolver), refusals_(refusals) {}

  Resources run(const Value& section) {
    for (const Member& member : section.members) resources_.logical_ids.insert(member.name);
    for (const Member& member : section.members) read_resource(member);
    const bool any_event =
        std::any_of(resources_.functions.begin(), resources_.functions.end(),
                    [](const FunctionSource& one) { return has_api_event(one.properties); });
    if (any_event) {
      resources_.api_id = stable_id({context_.seed, "api", context_.stack, kImplicitApi}, 10);
    }
    return std::move(resources_);
  }

 private:
  void read_resource(const Member& member) {
    const Place place{member.name, ""};
    if (!is_logical_id(member.name)) {
      refusals_.add(
          member.position, place,
          "Template format error: Resource name " + member.name + " is non alphanumeric.");
    }
    if (!member.value.is_mapping()) {
      refusals_.add(
          member.position, place,
          "All 'Resources' must be Objects. If you're using YAML, this may be an indentation "
          "issue.");
      return;
    }
    const Value& resource = member.value;
    check_members(resource, resource_attributes(), place, refusals_);
    check_attributes(resource, place);
    const Value* type = resource.find("Type");
    if (type == nullptr || !type->is_scalar()) {
      refusals_.add(member.position, place,
                    "Template format error: [/Resources/" + member.name +
                        "] Every Resources object must contain a Type member.");
      return;
    }
    Value properties(Kind::kMapping, member.position);
    if (const Value* written = resource.find("Properties")) {
      if (!written->is_mapping()) {
        refusals_.add(written->position, place / "Properties", "Properties should be a map.");
        return;
      }
      properties = *written;
    }
    if (type->text == "AWS::Serverless::Function") {
      add_function(member, std::move(properties));
    } else if (type->text == "AWS::DSQL::Cluster") {
      const std::string id = context_.cluster_id ? context_.cluster_id(member.name) : std::string{};
      resources_.clusters.push_back({member.name, id, std::move(properties)});
    } else {
      refuse_type(*type, place);
    }
  }

  void refuse_type(const Value& type, const Place& place) {
    const bool known = type.text.starts_with("AWS::") || type.text.starts_with("Custom::");
    refusals_.add(
        type.position, place / "Type",
        known ? "resource type " + type.text +
                    " is not supported yet; AWS::Serverless::Function and AWS::DSQL::Cluster are"
              : "Template format error: Unrecognized resource types: [" + type.text + "]");
  }

  void check_attributes(const Value& resource, const Place& place) {
    if (const Value* depends = resource.find("DependsOn")) {
      const std::vector<Value> single = {*depends};
      for (const Value& one : depends->is_sequence() ? depends->items : single) {
        if (one.is_scalar() && resources_.logical_ids.contains(one.text)) continue;
        refusals_.add(one.position, place / "DependsOn",
                      "Template format error: Unresolved resource dependencies [" + one.text +
                          "] in the Resources block of the template");
      }
    }
    const Value* metadata = resource.find("Metadata");
    if (metadata == nullptr || !metadata->is_mapping()) return;
    const Value* skip = metadata->find("SkipBuild");
    const Value* method = metadata->find("BuildMethod");
    const bool skipped = skip != nullptr && as_boolean(*skip).value_or(false);
    if (method != nullptr && !skipped) {
      refusals_.add(method->position, place / "Metadata" / "BuildMethod",
                    "refused: nothing is built here yet. Name the built folder by CodeUri and say "
                    "SkipBuild: true");
    }
  }

  void add_function(const Member& member, Value properties) {
    FunctionSource source{.logical_id = member.name, .position = member.position};
    if (const Value* section = global_section(globals_, "Function")) {
      const Value taken =
          globals_for(*section, member.value.find("IgnoreGlobals"), {member.name, ""}, refusals_);
      properties = merge_globals(taken, properties);
    }
    source.properties = std::move(properties);
    source.role_name = generated_name(context_, "role", member.name + "Role");
    source.name = generated_name(context_, "function", member.name);
    PropertyReader reader(source.properties, {member.name, "Properties"}, {}, resolver_, refusals_);
    if (const auto name = reader.string("FunctionName")) take_name(*name, reader, source);
    resources_.functions.push_back(std::move(source));
  }

  void take_name(const std::string& name, PropertyReader& reader, FunctionSource& source) {
    if (!is_function_name(name)) {
      reader.refuse("FunctionName",
                    "1 validation error detected: Value '" + name +
                        "' at 'functionName' failed to satisfy constraint: Member must "
                        "satisfy regular expression pattern: [a-zA-Z0-9-_]{1,64}");
    }
    for (const FunctionSource& other : resources_.functions) {
      if (other.name != name) continue;
      reader.refuse("FunctionName",
                    name + " already exists: it is the name of " + other.logical_id);
    }
    source.name = name;
  }

  const Value* globals_;
  const Context& context_;
  Resolver& resolver_;
  Refusals& refusals_;
  Resources resources_;
};

void name_function(const FunctionSource& source, const Context& context,
                   std::map<std::string, ResourceNames>& names) {
  const std::string arn =
      "arn:aws:lambda:" + context.region + ":" + context.account + ":function:" + source.name;
  ResourceNames& function = names[source.logical_id];
  function.ref = source.name;
  function.attributes["Arn"] = arn;
  ResourceNames& role = names[source.logical_id + "Role"];
  role.ref = source.role_name;
  role.attributes["Arn"] = "arn:aws:iam::" + context.account + ":role/" + source.role_name;
  role.unavailable["RoleId"] = "roles have no id here yet";
  const Value* alias = source.properties.find("AutoPublishAlias");
  if (alias == nullptr || !alias->is_scalar()) return;
  names[source.logical_id + ".Alias"].ref = arn + ":" + alias->text;
  names[source.logical_id + ".Version"].unavailable["Ref"] =
      "a version has its number only when it is published";
}

void name_cluster(const ClusterSource& source, const Context& context,
                  std::map<std::string, ResourceNames>& names) {
  ResourceNames& cluster = names[source.logical_id];
  cluster.ref = source.id;
  cluster.attributes["Identifier"] = source.id;
  cluster.attributes["ResourceArn"] =
      "arn:aws:dsql:" + context.region + ":" + context.account + ":cluster/" + source.id;
  cluster.attributes["Endpoint"] = source.id + ".dsql." + context.region + ".on.aws";
  cluster.attributes["Status"] = "ACTIVE";
  for (const char* name : {"CreationTime", "VpcEndpointServiceName", "VpcEndpoint", "PolicyVersion",
                           "EncryptionDetails.EncryptionStatus", "EncryptionDetails.EncryptionType",
                           "EncryptionDetails.KmsKeyArn"}) {
    cluster.unavailable[name] = "not supported yet";
  }
}

}  // namespace

Resources survey_resources(const Value& section, const Value* globals, const Context& context,
                           Resolver& resolver, Refusals& refusals) {
  if (section.members.size() > kMaxResources) {
    refusals.add(section.position, {{}, "Resources"}, "more than 500 resources");
  }
  return Survey(globals, context, resolver, refusals).run(section);
}

std::map<std::string, ResourceNames> resource_names(const Resources& resources,
                                                    const Context& context) {
  std::map<std::string, ResourceNames> names;
  for (const FunctionSource& function : resources.functions)
    name_function(function, context, names);
  for (const ClusterSource& cluster : resources.clusters) name_cluster(cluster, context, names);
  if (resources.api_id.empty()) return names;
  ResourceNames& api = names[std::string(kImplicitApi)];
  api.ref = resources.api_id;
  api.attributes["RestApiId"] = resources.api_id;
  api.unavailable["RootResourceId"] = "the resources of an API have no ids here yet";
  names[std::string(kImplicitApi) + ".Stage"].ref = "Prod";
  names[std::string(kImplicitApi) + "ProdStage"].ref = "Prod";
  return names;
}

ClusterResource read_cluster(const ClusterSource& source, Resolver& resolver, Refusals& refusals) {
  PropertyReader reader(source.properties, {source.logical_id, "Properties"}, source.logical_id,
                        resolver, refusals);
  check_members(source.properties, cluster_properties(), reader.place(), refusals);
  ClusterResource cluster{source.logical_id, source.id};
  cluster.deletion_protection = reader.boolean("DeletionProtectionEnabled").value_or(true);
  const auto key = reader.string("KmsEncryptionKey");
  if (key && *key != "AWS_OWNED_KMS_KEY") {
    reader.refuse("KmsEncryptionKey", "refused: only AWS_OWNED_KMS_KEY is supported yet");
  }
  return cluster;
}

}  // namespace zorya::template_engine
