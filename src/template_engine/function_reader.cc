#include "template_engine/function_reader.h"

#include "template_engine/policies.h"
#include "template_engine/property_reader.h"
#include "template_engine/property_tables.h"

#include <algorithm>
#include <array>
#include <system_error>

namespace zorya::template_engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxEnvironmentBytes = 4096;
constexpr std::size_t kMaxHandlerBytes = 128;
constexpr std::size_t kMaxDescriptionBytes = 256;

constexpr std::array<std::string_view, 6> kRuntimesRun = {
    "python3.10", "python3.11", "python3.12", "python3.13", "python3.14", "provided.al2023"};
constexpr std::array<std::string_view, 18> kRuntimesOfLambda = {
    "nodejs26.x", "nodejs24.x", "nodejs22.x", "python3.15",    "java25",        "java21",
    "java17",     "java11",     "java8.al2",  "java17.al2023", "java11.al2023", "java8.al2023",
    "dotnet10",   "dotnet8",    "ruby4.0",    "ruby3.4",       "ruby3.3",       "dotnet9"};
constexpr std::array<std::string_view, 4> kRuntimesDeprecated = {"provided.al2", "nodejs20.x",
                                                                 "python3.9", "ruby3.2"};

constexpr std::string_view kMachine =
#if defined(__x86_64__)
    "x86_64";
#elif defined(__aarch64__)
    "arm64";
#else
    "unknown";
#endif

template <typename List>
bool contains(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_word(std::string_view text, std::string_view extra) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  });
}

class Reader {
 public:
  Reader(const FunctionSource& source, const fs::path& folder, const Context& context,
         Resolver& resolver, Refusals& refusals)
      : source_(source),
        folder_(folder),
        context_(context),
        resolver_(resolver),
        refusals_(refusals),
        properties_(source.properties, Place{source.logical_id, "Properties"}, source.logical_id,
                    resolver, refusals) {}

  FunctionRead read() {
    check_members(source_.properties, function_properties(), properties_.place(), refusals_);
    read_.resource.logical_id = source_.logical_id;
    spec().name = source_.name;
    spec().role_arn = "arn:aws:iam::" + context_.account + ":role/" + source_.role_name;
    read_package();
    read_runtime();
    read_code();
    read_limits();
    read_environment();
    read_versions();
    read_logging();
    read_policies_property();
    read_events_property();
    return std::move(read_);
  }

 private:
  function_host::FunctionSpec& spec() { return read_.resource.spec; }

  PropertyReader nested(const Value& value, std::string_view name) {
    return {value, properties_.place() / name, source_.logical_id, resolver_, refusals_};
  }

  void refuse_unknown(const Value& mapping, std::string_view name,
                      std::initializer_list<std::string_view> known) {
    for (const Member& member : mapping.members) {
      if (contains(known, member.name)) continue;
      refusals_.add(member.position, properties_.place() / name / member.name,
                    "Encountered unsupported property " + member.name);
    }
  }

  void read_package() {
    const auto type = properties_.string("PackageType");
    if (type && *type == "Image") {
      properties_.refuse("PackageType", "refused: container images are not supported yet");
    } else if (type && *type != "Zip") {
      properties_.refuse("PackageType", "invalid 'PackageType' : " + *type);
    }
    const auto architectures = properties_.value("Architectures");
    if (!architectures) return;
    const bool single = architectures->is_sequence() && architectures->items.size() == 1;
    if (!single) {
      properties_.refuse(
          "Architectures",
          "Architectures needs to be a list with one string, either `x86_64` or `arm64`.");
    } else if (architectures->items[0].text != kMachine) {
      properties_.refuse("Architectures", "this machine is " + std::string(kMachine) +
                                              ": code for " + architectures->items[0].text +
                                              " does not run here");
    }
  }

  void read_runtime() {
    if (!properties_.has("Runtime") || !properties_.has("Handler")) {
      refusals_.add(source_.position, properties_.place(),
                    "Runtime and Handler needs to be present when PackageType is of type `Zip`");
    }
    spec().handler = properties_.string("Handler").value_or("");
    const bool blank = spec().handler.find_first_of(" \t\n") != std::string::npos;
    if (blank || spec().handler.size() > kMaxHandlerBytes) {
      properties_.refuse("Handler",
                         "1 validation error detected: Value '" + spec().handler +
                             "' at 'handler' failed to satisfy constraint: Member must " +
                             (blank ? "satisfy regular expression pattern: [^\\s]+"
                                    : "have length less than or equal to 128"));
    }
    spec().description = properties_.string("Description").value_or("");
    if (spec().description.size() > kMaxDescriptionBytes) {
      properties_.refuse("Description",
                         "1 validation error detected: Value at 'description' failed to satisfy "
                         "constraint: Member must have length less than or equal to 256");
    }
    if (const auto runtime = properties_.string("Runtime")) check_runtime(*runtime);
  }

  void check_runtime(const std::string& runtime) {
    spec().runtime = runtime;
    if (contains(kRuntimesRun, runtime)) return;
    if (contains(kRuntimesDeprecated, runtime)) {
      properties_.refuse("Runtime",
                         "The runtime parameter of " + runtime +
                             " is no longer supported for creating or updating AWS Lambda "
                             "functions.");
    } else if (contains(kRuntimesOfLambda, runtime)) {
      properties_.refuse("Runtime", "runtime " + runtime +
                                        " is not supported yet; python3.10 to python3.14 and "
                                        "provided.al2023 are");
    } else {
      std::string names(kRuntimesRun.front());
      for (std::size_t index = 1; index < kRuntimesRun.size(); ++index) {
        names += ", " + std::string(kRuntimesRun[index]);
      }
      for (const std::string_view name : kRuntimesOfLambda) names += ", " + std::string(name);
      properties_.refuse("Runtime", "Value " + runtime +
                                        " at 'runtime' failed to satisfy constraint: Member must "
                                        "satisfy enum value set: [" +
                                        names + "] or be a valid ARN");
    }
  }

  void read_code() {
    if (properties_.has("InlineCode")) return;  // refused already
    if (!properties_.has("CodeUri")) {
      refusals_.add(source_.position, properties_.place(),
                    "Only one of 'InlineCode' or 'CodeUri' can be set. Neither is: name the code's "
                    "folder by CodeUri");
      return;
    }
    const auto value = properties_.value("CodeUri");
    if (!value) return;
    if (!value->is_scalar() || value->text.starts_with("s3://")) {
      properties_.refuse("CodeUri",
                         "code in S3 is not supported yet: name a folder beside the template");
      return;
    }
    std::error_code error;
    const fs::path path = fs::weakly_canonical(folder_ / value->text, error);
    if (error || !fs::exists(path, error)) {
      properties_.refuse("CodeUri", "there is no folder " + (folder_ / value->text).string());
    } else if (!fs::is_directory(path, error)) {
      properties_.refuse("CodeUri",
                         path.string() + " is no folder; archives are not supported yet");
    } else {
      spec().code_folder = path;
    }
  }

  void read_limits() {
    if (const auto size = properties_.integer("MemorySize", {128, 10240, "memorySize"})) {
      spec().memory_size_mb = static_cast<int>(*size);
    }
    if (const auto limit = properties_.integer("Timeout", {1, 900, "timeout"})) {
      spec().timeout = std::chrono::seconds(*limit);
    }
    const auto storage = properties_.mapping("EphemeralStorage");
    if (!storage) return;
    refuse_unknown(*storage, "EphemeralStorage", {"Size"});
    PropertyReader reader = nested(*storage, "EphemeralStorage");
    if (!reader.has("Size")) reader.refuse("Size", "Property 'Size' is required.");
    if (const auto size = reader.integer("Size", {512, 10240, "ephemeralStorage.size"})) {
      spec().ephemeral_storage_mb = static_cast<int>(*size);
    }
  }

  void read_environment() {
    const auto environment = properties_.mapping("Environment");
    if (!environment) return;
    refuse_unknown(*environment, "Environment", {"Variables"});
    const Value* variables = environment->find("Variables");
    if (variables == nullptr) return;
    const Place place = properties_.place() / "Environment" / "Variables";
    if (!variables->is_mapping()) {
      refusals_.add(variables->position, place, "Property 'Variables' should be a map.");
      return;
    }
    std::size_t size_bytes = 2;
    for (const Member& member : variables->members) {
      read_variable(member, place / member.name);
      size_bytes += member.name.size() + member.value.text.size() + 6;  // "name":"value",
    }
    if (size_bytes > kMaxEnvironmentBytes) {
      refusals_.add(
          variables->position, place,
          "Lambda was unable to configure your environment variables because the environment "
          "variables you have provided exceeded the 4KB limit. " +
              std::to_string(size_bytes) + " bytes were measured");
    }
  }

  void read_variable(const Member& member, const Place& place) {
    const bool letter = (member.name[0] >= 'a' && member.name[0] <= 'z') ||
                        (member.name[0] >= 'A' && member.name[0] <= 'Z');
    if (contains(function_host::kReservedVariables, member.name)) {
      refusals_.add(
          member.position, place,
          "Lambda was unable to configure your environment variables because the environment "
          "variables you have provided contains reserved keys that are currently not "
          "supported for modification. Reserved keys used in this request: " +
              member.name);
    } else if (!letter || member.name.size() < 2 || !is_word(member.name, "_")) {
      refusals_.add(
          member.position, place,
          "1 validation error detected: Value at 'environment.variables' failed to satisfy "
          "constraint: Map keys must satisfy constraint: [Member must satisfy regular "
          "expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]");
    } else if (member.value.is_scalar()) {
      // A bare boolean travels as the word the service makes of it.
      const auto truth = member.value.quoted ? std::nullopt : as_boolean(member.value);
      const bool word = member.value.text.size() > 3 && truth.has_value();
      spec().environment[member.name] = word ? (*truth ? "true" : "false") : member.value.text;
    } else if (member.value.kind != Kind::kFailed) {
      refusals_.add(member.value.position, place,
                    "the value of an environment variable must be a string");
    }
  }

  void read_versions() {
    if (const auto alias = properties_.string("AutoPublishAlias")) {
      const bool digits = alias->find_first_not_of("0123456789") == std::string::npos;
      if (digits || !is_word(*alias, "-_")) {
        properties_.refuse(
            "AutoPublishAlias",
            "AutoPublishAlias name ('" + *alias +
                "') must contain only alphanumeric characters, hyphens, or underscores "
                "matching (?!^[0-9]+$)([a-zA-Z0-9-_]+) pattern.");
      }
      spec().alias = *alias;
    }
    const auto snap_start = properties_.mapping("SnapStart");
    if (!snap_start) return;
    refuse_unknown(*snap_start, "SnapStart", {"ApplyOn"});
    PropertyReader reader = nested(*snap_start, "SnapStart");
    const auto apply_on = reader.string("ApplyOn");
    if (!apply_on) return;
    if (*apply_on == "PublishedVersions") {
      take_snap_start(reader);
    } else if (*apply_on != "None") {
      reader.refuse("ApplyOn",
                    "1 validation error detected: Value '" + *apply_on +
                        "' at 'snapStart.applyOn' failed to satisfy constraint: Member must "
                        "satisfy enum value set: [PublishedVersions, None]");
    }
  }

  void take_snap_start(PropertyReader& reader) {
    spec().snap_start = function_host::SnapStart::kPublishedVersions;
    if (!spec().runtime.empty() && !supports_snap_start(spec().runtime)) {
      reader.refuse("ApplyOn",
                    spec().runtime + " is not supported for SnapStart enabled functions.");
    }
    if (spec().ephemeral_storage_mb > 512) {
      reader.refuse("ApplyOn", "SnapStart does not support ephemeral storage greater than 512 MB");
    }
    if (spec().alias.empty()) {
      refusals_.note(
          reader.position("ApplyOn"), reader.place() / "ApplyOn",
          "has no effect: without AutoPublishAlias no version is published, and $LATEST has "
          "no snapshot");
    }
  }

  void read_logging() {
    spec().log_group = "/aws/lambda/" + spec().name;
    if (const auto tracing = properties_.string("Tracing")) {
      if (*tracing != "Active" && *tracing != "PassThrough" && *tracing != "Disabled") {
        properties_.refuse("Tracing", "Invalid value for Tracing: " + *tracing +
                                          ". It is Active, PassThrough or Disabled");
      }
      spec().tracing_active = *tracing == "Active";
    }
    const auto logging = properties_.mapping("LoggingConfig");
    if (!logging) return;
    refuse_unknown(*logging, "LoggingConfig",
                   {"LogFormat", "LogGroup", "ApplicationLogLevel", "SystemLogLevel"});
    PropertyReader reader = nested(*logging, "LoggingConfig");
    read_log_format(reader);
    if (const auto group = reader.string("LogGroup")) {
      if (group->size() > 512 || !is_word(*group, ".-_/#")) {
        reader.refuse("LogGroup", "1 validation error detected: Value '" + *group +
                                      "' at 'loggingConfig.logGroup' failed to satisfy constraint: "
                                      "Member must satisfy regular expression pattern: "
                                      "[\\.\\-_/#A-Za-z0-9]+");
      }
      spec().log_group = *group;
    }
  }

  void read_log_format(PropertyReader& reader) {
    const std::string format = reader.string("LogFormat").value_or("Text");
    if (format != "Text" && format != "JSON") {
      reader.refuse("LogFormat", "1 validation error detected: Value '" + format +
                                     "' at 'loggingConfig.logFormat' failed to satisfy constraint: "
                                     "Member must satisfy enum value set: [Text, JSON]");
    }
    const bool json = format == "JSON";
    spec().log_format = json ? function_host::LogFormat::kJson : function_host::LogFormat::kText;
    for (const std::string_view name : {"ApplicationLogLevel", "SystemLogLevel"}) {
      const auto level = reader.string(name);
      if (!level) continue;
      if (!json) {
        reader.refuse(name, "log levels need LogFormat JSON");
      } else if (*level != "INFO") {
        reader.refuse(name, "refused: log levels other than INFO are not supported yet");
      }
    }
  }

  void read_policies_property() {
    const Value* policies = source_.properties.find("Policies");
    if (policies == nullptr) return;
    // The role needs what its policies name; the function needs the role.
    const Place place = properties_.place() / "Policies";
    const Value resolved = resolver_.resolve(*policies, place, source_.logical_id + "Role");
    if (resolved.kind == Kind::kFailed || resolved.kind == Kind::kNoValue) return;
    read_.resource.policy = read_policies(resolved, place, refusals_);
  }

  void read_events_property() {
    const Value* events = source_.properties.find("Events");
    if (events == nullptr) return;
    read_.events =
        read_events(*events, properties_.place() / "Events", source_.name, resolver_, refusals_);
  }

  const FunctionSource& source_;
  const fs::path& folder_;
  const Context& context_;
  Resolver& resolver_;
  Refusals& refusals_;
  PropertyReader properties_;
  FunctionRead read_;
};

}  // namespace

bool supports_snap_start(std::string_view runtime) {
  // Managed Java from 11, Python from 3.12, .NET from 8; the fact sheet on Lambda, 5.1.
  constexpr std::array<std::string_view, 12> kSupported = {
      "python3.12", "python3.13", "python3.14", "python3.15", "java11",        "java17",
      "java21",     "java25",     "dotnet8",    "dotnet10",   "java17.al2023", "java11.al2023"};
  return contains(kSupported, runtime);
}

FunctionRead read_function(const FunctionSource& source, const fs::path& folder,
                           const Context& context, Resolver& resolver, Refusals& refusals) {
  return Reader(source, folder, context, resolver, refusals).read();
}

}  // namespace zorya::template_engine
