#include "base/files.h"
#include "template_engine/circles.h"
#include "template_engine/globals.h"
#include "template_engine/parameters.h"
#include "template_engine/property_reader.h"
#include "template_engine/property_tables.h"
#include "template_engine/resources.h"
#include "template_engine/template_engine.h"

#include <algorithm>
#include <array>
#include <regex>

namespace zorya::template_engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTransform = "AWS::Serverless-2016-10-31";
constexpr std::size_t kMaxOutputs = 200;
constexpr std::string_view kWordCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

class TemplateReader {
 public:
  TemplateReader(const fs::path& path, const ParameterValues& parameters, const Context& context)
      : path_(path),
        parameters_(parameters),
        context_(context),
        refusals_(path),
        resolver_(refusals_, context) {}

  ReadResult read(std::string_view text) {
    auto document = parse_document(text);
    if (const auto* error = std::get_if<SyntaxError>(&document)) {
      refusals_.add(error->position, {}, "Template format error: " + error->message);
      return refusals_.take();
    }
    const Value& root = std::get<Value>(document);
    if (!root.is_mapping()) {
      refusals_.add(root.position, {}, "Template format error: the template must be a mapping");
      return refusals_.take();
    }
    read_root(root);
    if (!refusals_.empty()) return refusals_.take();
    plan_.notes = refusals_.take_notes();
    return std::move(plan_);
  }

 private:
  void read_root(const Value& root) {
    plan_.stack = context_.stack;
    check_members(root, template_sections(), {}, refusals_);
    check_head(root);
    const Value* globals = root.find("Globals");
    check_globals(globals, refusals_);
    read_parameters(root.find("Parameters"), parameters_, resolver_, refusals_);
    const Value* section = root.find("Resources");
    if (section == nullptr || !section->is_mapping() || section->members.empty()) {
      refusals_.add(section == nullptr ? root.position : section->position, {{}, "Resources"},
                    "Structure of the SAM template is invalid. 'Resources' section is required");
      return;
    }
    const Resources resources = survey_resources(*section, globals, context_, resolver_, refusals_);
    resolver_.set_resources(resource_names(resources, context_));
    read_resources(resources, globals);
    read_outputs(root.find("Outputs"));
    check_circles(resources, *section);
    add_literal_endpoints();
  }

  void check_head(const Value& root) {
    const Value* version = root.find("AWSTemplateFormatVersion");
    if (version != nullptr && version->text != "2010-09-09") {
      refusals_.add(version->position, {{}, "AWSTemplateFormatVersion"},
                    "Template format error: unsupported value for AWSTemplateFormatVersion.");
    }
    if (const Value* description = root.find("Description")) {
      if (!description->is_scalar() || description->text.size() > 1024) {
        refusals_.add(
            description->position, {{}, "Description"},
            "Template format error: 'Description' must be a string of at most 1024 bytes");
      }
    }
    check_transform(root);
  }

  void check_transform(const Value& root) {
    const Place place{{}, "Transform"};
    const Value* transform = root.find("Transform");
    std::vector<Value> names;
    if (transform != nullptr) {
      names = transform->is_sequence() ? transform->items : std::vector<Value>{*transform};
    }
    bool sam = false;
    for (const Value& name : names) {
      if (name.text == kTransform) {
        sam = true;
      } else {
        refusals_.add(name.position, place, "transform " + name.text + " is not supported yet");
      }
    }
    const Value* resources = root.find("Resources");
    if (sam || resources == nullptr) return;
    for (const Member& member : resources->members) {
      const Value* type = member.value.find("Type");
      if (type == nullptr || !type->text.starts_with("AWS::Serverless::")) continue;
      refusals_.add(type->position, {member.name, "Type"},
                    "Template format error: Unrecognized resource types: [" + type->text +
                        "]. The template needs Transform: " + std::string(kTransform));
    }
  }

  void read_resources(const Resources& resources, const Value* globals) {
    for (const ClusterSource& source : resources.clusters) {
      plan_.clusters.push_back(read_cluster(source, resolver_, refusals_));
    }
    std::vector<RoutedEvent> events;
    for (const FunctionSource& source : resources.functions) {
      FunctionRead read =
          read_function(source, path_.parent_path(), context_, resolver_, refusals_);
      events.insert(events.end(), read.events.begin(), read.events.end());
      plan_.functions.push_back(std::move(read.resource));
    }
    if (resources.api_id.empty()) return;
    RestApi api;
    api.logical_id = kImplicitApi;
    api.id = resources.api_id;
    api.name = context_.stack;
    if (const Value* section = global_section(globals, "Api")) read_api_globals(*section, api);
    api.routes = combine_routes(events, refusals_);
    plan_.apis.push_back(std::move(api));
  }

  void read_api_globals(const Value& section, RestApi& api) {
    const Place place{{}, "Globals.Api"};
    PropertyReader reader(section, place, {}, resolver_, refusals_);
    api.tracing_enabled = reader.boolean("TracingEnabled").value_or(false);
    api.name = reader.string("Name").value_or(api.name);
    if (const auto types = reader.value("BinaryMediaTypes")) {
      if (!types->is_sequence()) reader.refuse("BinaryMediaTypes", "must be a list");
      for (const Value& type : types->items) read_media_type(type, place / "BinaryMediaTypes", api);
    }
    const auto variables = reader.mapping("Variables");
    if (!variables) return;
    for (const Member& member : variables->members) {
      const bool word = !member.name.empty() &&
                        member.name.find_first_not_of(kWordCharacters) == std::string::npos;
      if (!word || !member.value.is_scalar()) {
        refusals_.add(member.position, place / "Variables" / member.name,
                      "a stage variable has a name of [A-Za-z0-9_]+ and a string");
      } else {
        api.stage_variables[member.name] = member.value.text;
      }
    }
  }

  // SAM writes a slash in a media type as ~1.
  void read_media_type(const Value& type, const Place& place, RestApi& api) {
    if (!type.is_scalar()) {
      if (type.kind != Kind::kFailed)
        refusals_.add(type.position, place, "must be a list of strings");
      return;
    }
    std::string text = type.text;
    for (std::size_t at = text.find("~1"); at != std::string::npos; at = text.find("~1", at)) {
      text.replace(at, 2, "/");
    }
    api.binary_media_types.push_back(std::move(text));
  }

  void read_outputs(const Value* section) {
    if (section == nullptr) return;
    const Place place{{}, "Outputs"};
    if (!section->is_mapping()) {
      refusals_.add(section->position, place, "must be a mapping");
      return;
    }
    if (section->members.size() > kMaxOutputs) {
      refusals_.add(section->position, place, "more than 200 outputs");
    }
    for (const Member& member : section->members) read_output(member, place / member.name);
  }

  void read_output(const Member& member, const Place& place) {
    if (!member.value.is_mapping()) {
      refusals_.add(member.position, place, "must be a mapping");
      return;
    }
    check_members(member.value, output_keys(), place, refusals_);
    PropertyReader reader(member.value, place, {}, resolver_, refusals_);
    if (!reader.has("Value")) {
      refusals_.add(
          member.position, place,
          "Template format error: Output " + member.name + " is malformed. It has no Value");
      return;
    }
    const auto value = reader.string("Value");
    const auto description = reader.string("Description");
    if (value) plan_.outputs.push_back({member.name, *value, description.value_or("")});
  }

  void check_circles(const Resources& resources, const Value& section) {
    References references = resolver_.references();
    for (const FunctionSource& source : resources.functions) {
      references[source.logical_id].insert(source.logical_id + "Role");
      if (has_api_event(source.properties)) {
        references[std::string(kImplicitApi)].insert(source.logical_id);
      }
    }
    for (const std::vector<std::string>& circle : find_circles(references)) {
      std::string names;
      Position position = section.position;
      for (const std::string& name : circle) {
        names += (names.empty() ? "" : ", ") + name;
        if (const Value* resource = section.find(name)) position = resource->position;
      }
      refusals_.add(position, {{}, "Resources"},
                    "Circular dependency between resources: [" + names + "]");
    }
  }

  // A variable that names a cluster without a resource means a cluster of that id.
  void add_literal_endpoints() {
    static const std::regex endpoint("([a-z0-9]{26})\\.dsql\\.([a-z0-9-]{1,32})\\.on\\.aws");
    for (const FunctionResource& function : plan_.functions) {
      for (const auto& [name, value] : function.spec.environment) {
        for (std::sregex_iterator found(value.begin(), value.end(), endpoint), end; found != end;
             ++found) {
          add_literal_endpoint(function.logical_id, name, (*found)[1], (*found)[2]);
        }
      }
    }
  }

  void add_literal_endpoint(const std::string& logical_id, const std::string& variable,
                            const std::string& id, const std::string& region) {
    if (region != context_.region) {
      refusals_.add(
          {}, {logical_id, "Properties.Environment.Variables." + variable},
          "cluster " + id + " is in region " + region + ", and this is " + context_.region);
      return;
    }
    const bool known = std::any_of(plan_.clusters.begin(), plan_.clusters.end(),
                                   [&](const ClusterResource& one) { return one.id == id; });
    if (!known) plan_.clusters.push_back({"", id, true});
  }

  const fs::path& path_;
  const ParameterValues& parameters_;
  const Context& context_;
  Refusals refusals_;
  Resolver resolver_;
  Plan plan_;
};

bool is_stack_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

}  // namespace

ReadResult read_template_text(std::string_view text, const fs::path& path,
                              const ParameterValues& parameters, const Context& context) {
  return TemplateReader(path, parameters, context).read(text);
}

ReadResult read_template(const fs::path& path, const ParameterValues& parameters,
                         const Context& context) {
  auto text = base::read_file(path, kMaxTemplateBytes);
  if (!text) return std::vector<Refusal>{{path, 0, 0, {}, {}, text.error().message}};
  return read_template_text(*text, path, parameters, context);
}

base::Result<fs::path> find_template(const fs::path& folder_or_file) {
  std::error_code error;
  if (fs::is_regular_file(folder_or_file, error)) return folder_or_file;
  if (!fs::is_directory(folder_or_file, error)) {
    return base::Error{base::Code::kNotFound, "there is no " + folder_or_file.string(), {}};
  }
  constexpr std::array<std::string_view, 3> kNames = {"template.yaml", "template.yml",
                                                      "template.json"};
  for (const std::string_view name : kNames) {
    if (fs::is_regular_file(folder_or_file / name, error)) return folder_or_file / name;
  }
  return base::Error{
      base::Code::kNotFound,
      "there is no template.yaml, template.yml or template.json in " + folder_or_file.string(),
      "name the template itself"};
}

std::string stack_name_for(const fs::path& template_file) {
  std::error_code error;
  const fs::path folder = fs::absolute(template_file, error).lexically_normal().parent_path();
  std::string name = folder.filename().string();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !is_stack_character(c); }, '-');
  if (name.empty() || name[0] == '-' || (name[0] >= '0' && name[0] <= '9')) name = "stack-" + name;
  return name.substr(0, 128);
}

}  // namespace zorya::template_engine
