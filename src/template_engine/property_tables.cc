#include "template_engine/property_tables.h"

#include "template_engine/template_engine.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

// The names are those of the SAM specification of May 2026 and of the CloudFormation registry; what
// is said of each is what this program does with it today.
namespace zorya::template_engine {
namespace {

constexpr auto kRead = Treatment::kRead;
constexpr auto kNoted = Treatment::kNoted;
constexpr auto kRefused = Treatment::kRefused;

constexpr PropertyRule kSections[] = {
    {"AWSTemplateFormatVersion", kRead, "must be 2010-09-09"},
    {"Transform", kRead,
     "AWS::Serverless-2016-10-31, as a string or a list of one; others are refused"},
    {"Description", kRead, "up to 1,024 bytes"},
    {"Metadata", kNoted, "free-form: no section of it is read"},
    {"Globals", kRead, "Function and Api; merged as SAM does"},
    {"Parameters", kRead, "String, Number, CommaDelimitedList, List<String>, List<Number>"},
    {"Mappings", kRefused, "not supported yet"},
    {"Conditions", kRefused, "not supported yet"},
    {"Rules", kRefused, "not supported yet"},
    {"Hooks", kRefused, "not supported yet"},
    {"Resources", kRead, "AWS::Serverless::Function, AWS::DSQL::Cluster"},
    {"Outputs", kRead, ""},
};

constexpr PropertyRule kResourceAttributes[] = {
    {"Type", kRead, ""},
    {"Properties", kRead, ""},
    {"DependsOn", kRead, "the names must exist; clusters are always there before functions"},
    {"DeletionPolicy", kNoted, "a resource that left the template is always kept and reported"},
    {"UpdateReplacePolicy", kNoted,
     "a resource that left the template is always kept and reported"},
    {"Metadata", kRead,
     "build metadata is refused unless SkipBuild is true: nothing is built here"},
    {"IgnoreGlobals", kRead, "\"*\" or a list of property names"},
    {"Condition", kRefused, "conditions are not supported yet"},
    {"CreationPolicy", kRefused, "not supported yet"},
    {"UpdatePolicy", kRefused, "not supported yet"},
    {"Connectors", kRefused, "connectors are not supported yet"},
    {"Version", kRefused, "belongs to custom resources, which are not supported yet"},
};

constexpr PropertyRule kFunction[] = {
    {"Handler", kRead, "required"},
    {"Runtime", kRead, "python3.10 to python3.14, provided.al2023"},
    {"CodeUri", kRead,
     "required; a folder beside the template, used as it is; archives and S3 are refused"},
    {"Description", kRead, "up to 256 characters"},
    {"FunctionName", kRead, "[a-zA-Z0-9-_]{1,64}; default <stack>-<logical id>-<12 characters>"},
    {"MemorySize", kRead, "128 to 10240 MB, default 128"},
    {"Timeout", kRead, "1 to 900 s, default 3"},
    {"EphemeralStorage", kRead, "Size 512 to 10240 MB"},
    {"Environment", kRead, "Variables; names, reserved names and 4 KB as Lambda checks them"},
    {"Events", kRead, "type Api; other types are refused by name"},
    {"Policies", kRead,
     "policy documents; managed policies and SAM policy templates are refused by name"},
    {"SnapStart", kRead,
     "ApplyOn None or PublishedVersions; refused for runtimes where Lambda refuses it"},
    {"AutoPublishAlias", kRead, "a version is published at each change"},
    {"Tracing", kRead, "Active, PassThrough, Disabled"},
    {"LoggingConfig", kRead, "LogFormat, LogGroup; log levels other than INFO are refused"},
    {"PackageType", kRead, "Zip; Image is refused"},
    {"Architectures", kRead, "the machine's own; the other is refused"},
    {"Tags", kNoted, "nothing here reads tags yet"},
    {"PropagateTags", kNoted, "nothing here reads tags yet"},
    {"VersionDescription", kNoted, "nothing here shows it yet"},
    {"AutoPublishAliasAllProperties", kNoted, "every change of code or configuration is published"},
    {"InlineCode", kRefused, "put the code into a folder and name it by CodeUri"},
    {"ImageUri", kRefused, "container images are not supported yet"},
    {"ImageConfig", kRefused, "container images are not supported yet"},
    {"Role", kRefused, "the function gets a role of its own with what Policies allow"},
    {"RolePath", kRefused, "not supported yet"},
    {"PermissionsBoundary", kRefused, "not supported yet"},
    {"AssumeRolePolicyDocument", kRefused, "not supported yet"},
    {"KmsKeyArn", kRefused, "not supported yet"},
    {"SourceKMSKeyArn", kRefused, "not supported yet"},
    {"CodeSigningConfigArn", kRefused, "not supported yet"},
    {"Layers", kRefused, "layers are not supported yet: put their content into the code folder"},
    {"VpcConfig", kRefused, "functions have no network but the database and the platform"},
    {"FunctionUrlConfig", kRefused, "function URLs are not supported yet: use an Api event"},
    {"AutoPublishCodeSha256", kRefused, "the hash is taken of the code itself"},
    {"VersionDeletionPolicy", kRefused, "not supported yet"},
    {"DeploymentPreference", kRefused, "traffic shifting is not supported yet"},
    {"ProvisionedConcurrencyConfig", kRefused, "not supported yet"},
    {"ReservedConcurrentExecutions", kRefused, "not supported yet"},
    {"EventInvokeConfig", kRefused, "asynchronous invokes are not supported yet"},
    {"DeadLetterQueue", kRefused, "asynchronous invokes are not supported yet"},
    {"FileSystemConfigs", kRefused, "not supported yet"},
    {"RuntimeManagementConfig", kRefused, "not supported yet"},
    {"RecursiveLoop", kRefused, "not supported yet"},
    {"TenancyConfig", kRefused, "not supported yet"},
    {"DurableConfig", kRefused, "not supported yet"},
    {"CapacityProviderConfig", kRefused, "not supported yet"},
    {"FunctionScalingConfig", kRefused, "not supported yet"},
    {"PublishToLatestPublished", kRefused, "not supported yet"},
};

constexpr PropertyRule kApiEvent[] = {
    {"Path", kRead, "required"},
    {"Method", kRead, "required; any case, or any"},
    {"RestApiId", kRead, "a Ref to ServerlessRestApi; other APIs are refused"},
    {"TimeoutInMillis", kRefused, "the integration's limit is 29 s"},
    {"Auth", kRefused, "authorizers are not supported yet"},
    {"RequestModel", kRefused, "request validation is not supported yet"},
    {"RequestParameters", kRefused, "request validation is not supported yet"},
    {"ResponseTransferMode", kRefused, "response streaming is not supported yet"},
};

constexpr PropertyRule kCluster[] = {
    {"DeletionProtectionEnabled", kRead, "default true"},
    {"Tags", kNoted, "nothing here reads tags yet"},
    {"KmsEncryptionKey", kRead,
     "AWS_OWNED_KMS_KEY; other keys are refused: data is as encrypted as the disk"},
    {"MultiRegionProperties", kRefused, "linked clusters are not supported yet"},
    {"PolicyDocument", kRefused, "resource policies are not supported yet"},
};

constexpr PropertyRule kApiGlobals[] = {
    {"TracingEnabled", kRead, "of the implicit API"},
    {"Name", kRead, "of the implicit API; the stack's name by default"},
    {"PropagateTags", kNoted, "nothing here reads tags yet"},
    {"OpenApiVersion", kNoted, "no OpenAPI document is made"},
    {"AlwaysDeploy", kNoted, "every change is live"},
    {"EndpointConfiguration", kNoted, "the API answers on the address that `zorya up` prints"},
    {"Auth", kRefused, "authorizers are not supported yet"},
    {"DefinitionUri", kRefused, "OpenAPI documents are not supported yet"},
    {"MergeDefinitions", kRefused, "OpenAPI documents are not supported yet"},
    {"CacheClusterEnabled", kRefused, "not supported yet"},
    {"CacheClusterSize", kRefused, "not supported yet"},
    {"Variables", kRead, "the event's stageVariables"},
    {"MethodSettings", kRefused, "not supported yet"},
    {"BinaryMediaTypes", kRead, "~1 stands for a slash"},
    {"MinimumCompressionSize", kRefused, "not supported yet"},
    {"Cors", kRefused, "not supported yet: answer OPTIONS in the function"},
    {"GatewayResponses", kRefused, "not supported yet"},
    {"AccessLogSetting", kRefused, "not supported yet"},
    {"CanarySetting", kRefused, "not supported yet"},
    {"Domain", kRefused, "custom domains are not supported yet"},
    {"SecurityPolicy", kRefused, "not supported yet"},
    {"EndpointAccessMode", kRefused, "not supported yet"},
};

constexpr PropertyRule kParameter[] = {
    {"Type", kRead, "required"},
    {"Default", kRead, ""},
    {"Description", kRead, "up to 4,000 characters"},
    {"AllowedValues", kRead, ""},
    {"AllowedPattern", kRead, "an ECMAScript regular expression of the whole value"},
    {"ConstraintDescription", kRead, "told when a value is refused"},
    {"MinLength", kRead, ""},
    {"MaxLength", kRead, ""},
    {"MinValue", kRead, ""},
    {"MaxValue", kRead, ""},
    {"NoEcho", kRead, "the value is not shown in refusals"},
};

constexpr PropertyRule kOutput[] = {
    {"Value", kRead, "required"},
    {"Description", kRead, "up to 1,024 bytes"},
    {"Export", kRefused, "exports between stacks are not supported yet"},
    {"Condition", kRefused, "conditions are not supported yet"},
};

constexpr PropertyRule kStatement[] = {
    {"Sid", kRead, ""},
    {"Effect", kRead, "Allow or Deny"},
    {"Action", kRead, "a string or a list; wildcards * and ?"},
    {"Resource", kRead, "a string or a list; wildcards * and ?"},
    {"Condition", kRefused, "conditions are not supported yet"},
    {"NotAction", kRefused, "not supported yet"},
    {"NotResource", kRefused, "not supported yet"},
    {"Principal", kRefused, "a role's policy may not name a principal"},
    {"NotPrincipal", kRefused, "a role's policy may not name a principal"},
};

// As SAM lists them in its own refusal, in this order.
constexpr std::string_view kFunctionGlobals[] = {"Handler",
                                                 "Runtime",
                                                 "CodeUri",
                                                 "DeadLetterQueue",
                                                 "Description",
                                                 "MemorySize",
                                                 "Timeout",
                                                 "VpcConfig",
                                                 "Environment",
                                                 "Tags",
                                                 "PropagateTags",
                                                 "Tracing",
                                                 "KmsKeyArn",
                                                 "AutoPublishAlias",
                                                 "AutoPublishAliasAllProperties",
                                                 "Layers",
                                                 "DeploymentPreference",
                                                 "RolePath",
                                                 "PermissionsBoundary",
                                                 "ReservedConcurrentExecutions",
                                                 "ProvisionedConcurrencyConfig",
                                                 "AssumeRolePolicyDocument",
                                                 "EventInvokeConfig",
                                                 "FileSystemConfigs",
                                                 "CodeSigningConfigArn",
                                                 "Architectures",
                                                 "SnapStart",
                                                 "EphemeralStorage",
                                                 "FunctionUrlConfig",
                                                 "RuntimeManagementConfig",
                                                 "LoggingConfig",
                                                 "RecursiveLoop",
                                                 "SourceKMSKeyArn",
                                                 "TenancyConfig",
                                                 "DurableConfig",
                                                 "CapacityProviderConfig",
                                                 "FunctionScalingConfig",
                                                 "PublishToLatestPublished",
                                                 "VersionDeletionPolicy"};

constexpr PropertyTable kSectionsTable{"Template", "Invalid template property or properties [{}]",
                                       kSections};
constexpr PropertyTable kResourceTable{"Every resource", "Invalid template resource property '{}'",
                                       kResourceAttributes};
constexpr PropertyTable kFunctionTable{
    "AWS::Serverless::Function",
    "property {} not defined for resource of type AWS::Serverless::Function", kFunction};
constexpr PropertyTable kApiEventTable{
    "Event of type Api", "property {} not defined for an event of type Api", kApiEvent};
constexpr PropertyTable kClusterTable{"AWS::DSQL::Cluster", "Encountered unsupported property {}",
                                      kCluster};
constexpr PropertyTable kApiGlobalsTable{"Globals.Api", "'{}' is not a supported property of 'Api'",
                                         kApiGlobals};
constexpr PropertyTable kParameterTable{"Parameter", "Invalid template parameter property '{}'",
                                        kParameter};
constexpr PropertyTable kOutputTable{"Output", "Invalid template output property '{}'", kOutput};
constexpr PropertyTable kStatementTable{"Policy statement",
                                        "Syntax errors in policy: unknown element {}", kStatement};

constexpr const PropertyTable* kAllTables[] = {
    &kSectionsTable,   &kResourceTable,  &kFunctionTable,  &kApiEventTable, &kClusterTable,
    &kApiGlobalsTable, &kStatementTable, &kParameterTable, &kOutputTable};

// Levenshtein's distance, with one row.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above + 1, row[j - 1] + 1, change});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string_view treatment_word(Treatment treatment) {
  switch (treatment) {
    case Treatment::kRead:
      return "read";
    case Treatment::kNoted:
      return "no effect, and said so";
    case Treatment::kRefused:
      return "refused";
  }
  return "?";
}

std::string with_name(std::string_view words, std::string_view name) {
  std::string text(words);
  const std::size_t hole = text.find("{}");
  if (hole != std::string::npos) text.replace(hole, 2, name);
  return text;
}

}  // namespace

const PropertyTable& template_sections() { return kSectionsTable; }
const PropertyTable& resource_attributes() { return kResourceTable; }
const PropertyTable& function_properties() { return kFunctionTable; }
const PropertyTable& api_event_properties() { return kApiEventTable; }
const PropertyTable& cluster_properties() { return kClusterTable; }
const PropertyTable& api_globals() { return kApiGlobalsTable; }
const PropertyTable& parameter_keys() { return kParameterTable; }
const PropertyTable& output_keys() { return kOutputTable; }
const PropertyTable& statement_keys() { return kStatementTable; }
std::span<const PropertyTable* const> all_tables() { return kAllTables; }
std::span<const std::string_view> function_globals() { return kFunctionGlobals; }

std::string_view probable_name(std::string_view name, const PropertyTable& table) {
  std::string_view best;
  std::size_t best_distance = 3;  // further apart is another word, not a slip
  for (const PropertyRule& rule : table.rules) {
    if (name.size() > 64) break;
    const std::size_t distance = edit_distance(name, rule.name);
    if (distance < best_distance && distance * 3 <= rule.name.size()) {
      best_distance = distance;
      best = rule.name;
    }
  }
  return best;
}

void check_members(const Value& mapping, const PropertyTable& table, const Place& place,
                   Refusals& refusals) {
  for (const Member& member : mapping.members) {
    const auto rule = std::find_if(table.rules.begin(), table.rules.end(),
                                   [&](const PropertyRule& r) { return r.name == member.name; });
    if (rule == table.rules.end()) {
      std::string message = with_name(table.unknown, member.name);
      if (const std::string_view meant = probable_name(member.name, table); !meant.empty()) {
        message += ". SAM calls this " + std::string(meant);
      }
      refusals.add(member.position, place / member.name, std::move(message));
    } else if (rule->treatment == Treatment::kRefused) {
      refusals.add(member.position, place / member.name, "refused: " + std::string(rule->remark));
    } else if (rule->treatment == Treatment::kNoted) {
      refusals.note(member.position, place / member.name,
                    "has no effect: " + std::string(rule->remark));
    }
  }
}

std::string supported_properties_markdown() {
  std::string text;
  for (const PropertyTable* table : all_tables()) {
    text += "### " + std::string(table->title) +
            "\n\n| name | what becomes of it | remark |\n|---|---|---|\n";
    for (const PropertyRule& rule : table->rules) {
      text += "| `" + std::string(rule.name) + "` | " +
              std::string(treatment_word(rule.treatment)) + " | " + std::string(rule.remark) +
              " |\n";
    }
    text += "\n";
  }
  return text;
}

}  // namespace zorya::template_engine
