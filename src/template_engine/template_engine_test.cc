#include "template_engine/template_engine.h"

#include "base/files.h"
#include "template_engine/document.h"
#include "template_engine/plan_text.h"
#include "template_engine/property_tables.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace zorya::template_engine {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(ZORYA_TESTDATA) / "golden";

Context test_context() {
  Context context;
  context.stack = "shop";
  context.seed = "seed";
  context.cluster_id = [](std::string_view logical_id) {
    std::string id(logical_id);
    for (char& c : id) c = static_cast<char>(std::tolower(c));
    id.resize(26, 'x');
    return id;
  };
  return context;
}

ReadResult read_text(std::string_view text, const ParameterValues& parameters = {}) {
  return read_template_text(text, kGolden / "t.yaml", parameters, test_context());
}

std::vector<Refusal> refusals_of(std::string_view text, const ParameterValues& parameters = {}) {
  auto result = read_text(text, parameters);
  if (auto* refusals = std::get_if<std::vector<Refusal>>(&result)) return std::move(*refusals);
  ADD_FAILURE() << "taken: " << text;
  return {};
}

// A template with one right function; `more` goes into its properties, `rest` after the resources.
std::string with_function(std::string_view more, std::string_view rest = "") {
  return "Transform: AWS::Serverless-2016-10-31\n"
         "Resources:\n"
         "  F:\n"
         "    Type: AWS::Serverless::Function\n"
         "    Properties:\n"
         "      Runtime: python3.12\n"
         "      Handler: app.handler\n"
         "      CodeUri: code\n" +
         std::string(more) + "\n" + std::string(rest);
}

// The only refusal of a template, as text less its file.
std::string only_refusal(std::string_view text, const ParameterValues& parameters = {}) {
  auto refusals = refusals_of(text, parameters);
  if (refusals.size() != 1) {
    std::string all;
    for (const Refusal& one : refusals) all += to_string(one) + "\n";
    ADD_FAILURE() << refusals.size() << " refusals:\n" << all;
    return {};
  }
  refusals[0].file = "t";
  return to_string(refusals[0]);
}

Plan plan_of(std::string_view text, const ParameterValues& parameters = {}) {
  auto result = read_text(text, parameters);
  if (auto* plan = std::get_if<Plan>(&result)) return std::move(*plan);
  for (const Refusal& one : std::get<std::vector<Refusal>>(result)) ADD_FAILURE() << to_string(one);
  return {};
}

class Golden : public testing::TestWithParam<const char*> {};

// Run with ZORYA_WRITE_GOLDEN=1 to write the files anew; then read the difference.
TEST_P(Golden, ATemplateGivesItsPlan) {
  const fs::path path = kGolden / GetParam();
  auto result = read_template(path, {}, test_context());
  ASSERT_TRUE(std::holds_alternative<Plan>(result))
      << to_string(std::get<std::vector<Refusal>>(result).front());
  const std::string text = plan_text(std::get<Plan>(result), kGolden);
  const fs::path golden = path.string() + ".plan";
  if (std::getenv("ZORYA_WRITE_GOLDEN") != nullptr) std::ofstream(golden) << text;
  EXPECT_EQ(text, base::read_file(golden).value_or("no golden file"));
}
INSTANTIATE_TEST_SUITE_P(Templates, Golden,
                         testing::Values("todos.yaml", "language.yaml", "json.json"));

TEST(TemplateEngine, MethodsIsRefusedInSamsWordsWithTheLine) {
  const std::string text = with_function(
      "      Events:\n"
      "        List:\n"
      "          Type: Api\n"
      "          Properties:\n"
      "            Path: /todos\n"
      "            Methods: GET\n");
  EXPECT_EQ(
      only_refusal(text),
      "t:14:13: F: Properties.Events.List.Properties.Methods: Event with id [List] is invalid. "
      "Property 'Method' is required. SAM calls this Method");
}

TEST(TemplateEngine, AllRefusalsOfATemplateAreToldAtOnceInOrder) {
  const auto refusals = refusals_of(
      "Transform: AWS::Serverless-2016-10-31\n"
      "Conditions: {}\n"
      "Resources:\n"
      "  F:\n"
      "    Type: AWS::Serverless::Function\n"
      "    Properties:\n"
      "      Runtime: cobol\n"
      "      Handler: a.b\n"
      "      CodeUri: nowhere\n"
      "      Timeout: 901\n"
      "      Layers: []\n"
      "      Colour: red\n"
      "  T:\n"
      "    Type: AWS::DynamoDB::Table\n"
      "Outputs:\n"
      "  O: {Value: !GetAtt Gone.Arn}\n");
  std::vector<int> lines;
  for (const Refusal& one : refusals) lines.push_back(one.line);
  EXPECT_EQ(lines, (std::vector<int>{2, 7, 9, 10, 11, 12, 14, 16}));
}

struct Case {
  const char* more;     // of the function's properties
  const char* refusal;  // less "t:<line>:<column>: "
};

void PrintTo(const Case& one, std::ostream* out) { *out << one.more; }

class FunctionRefusal : public testing::TestWithParam<Case> {};

TEST_P(FunctionRefusal, IsToldWithItsPlaceAndItsReason) {
  const std::string told = only_refusal(with_function(GetParam().more));
  const std::size_t start = told.find(": ");
  ASSERT_NE(start, std::string::npos);
  EXPECT_EQ(told.substr(start + 2), GetParam().refusal);
  EXPECT_TRUE(told.starts_with("t:")) << told;
}

INSTANTIATE_TEST_SUITE_P(
    Properties, FunctionRefusal,
    testing::Values(
        Case{"      MemorySize: 64",
             "F: Properties.MemorySize: 1 validation error detected: Value '64' at 'memorySize' "
             "failed "
             "to satisfy constraint: Member must have value greater than or equal to 128"},
        Case{"      Timeout: 1000",
             "F: Properties.Timeout: 1 validation error detected: Value '1000' at 'timeout' failed "
             "to "
             "satisfy constraint: Member must have value less than or equal to 900"},
        Case{"      Timeout: soon",
             "F: Properties.Timeout: Property 'Timeout' should be a number."},
        Case{"      Colour: red",
             "F: Properties.Colour: property Colour not defined for resource of type "
             "AWS::Serverless::Function"},
        Case{"      Memorysize: 128",
             "F: Properties.Memorysize: property Memorysize not defined for resource of type "
             "AWS::Serverless::Function. SAM calls this MemorySize"},
        Case{"      Layers: [arn]",
             "F: Properties.Layers: refused: layers are not supported yet: put their content into "
             "the "
             "code folder"},
        Case{
            "      Tracing: Maybe",
            "F: Properties.Tracing: Invalid value for Tracing: Maybe. It is Active, PassThrough or "
            "Disabled"},
        Case{"      PackageType: Image",
             "F: Properties.PackageType: refused: container images are not supported yet"},
        Case{"      PackageType: Tar", "F: Properties.PackageType: invalid 'PackageType' : Tar"},
        Case{"      AutoPublishAlias: '12'",
             "F: Properties.AutoPublishAlias: AutoPublishAlias name ('12') must contain only "
             "alphanumeric characters, hyphens, or underscores matching "
             "(?!^[0-9]+$)([a-zA-Z0-9-_]+) pattern."},
        Case{"      EphemeralStorage: {Size: 100}",
             "F: Properties.EphemeralStorage.Size: 1 validation error detected: Value '100' at "
             "'ephemeralStorage.size' failed to satisfy constraint: Member must have value greater "
             "than "
             "or equal to 512"},
        Case{"      Environment: {Variables: {AWS_REGION: here}}",
             "F: Properties.Environment.Variables.AWS_REGION: Lambda was unable to configure your "
             "environment variables because the environment variables you have provided contains "
             "reserved keys that are currently not supported for modification. Reserved keys used "
             "in "
             "this request: AWS_REGION"},
        Case{"      Environment: {Variables: {A: x}}",
             "F: Properties.Environment.Variables.A: 1 validation error detected: Value at "
             "'environment.variables' failed to satisfy constraint: Map keys must satisfy "
             "constraint: "
             "[Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]"},
        Case{"      Environment: {Variables: {AA: [x]}}",
             "F: Properties.Environment.Variables.AA: the value of an environment variable must be "
             "a "
             "string"},
        Case{"      Environment: {Variables: {DB: "
             "zzcdefghijklmnopqrstuvwxyz.dsql.eu-west-1.on.aws}}",
             "F: Properties.Environment.Variables.DB: cluster zzcdefghijklmnopqrstuvwxyz is in "
             "region "
             "eu-west-1, and this is us-east-1"},
        Case{"      LoggingConfig: {LogFormat: XML}",
             "F: Properties.LoggingConfig.LogFormat: 1 validation error detected: Value 'XML' at "
             "'loggingConfig.logFormat' failed to satisfy constraint: Member must satisfy enum "
             "value "
             "set: [Text, JSON]"},
        Case{"      LoggingConfig: {LogFormat: JSON, SystemLogLevel: DEBUG}",
             "F: Properties.LoggingConfig.SystemLogLevel: refused: log levels other than INFO are "
             "not "
             "supported yet"},
        Case{
            "      SnapStart: {ApplyOn: Always}",
            "F: Properties.SnapStart.ApplyOn: 1 validation error detected: Value 'Always' at "
            "'snapStart.applyOn' failed to satisfy constraint: Member must satisfy enum value set: "
            "[PublishedVersions, None]"},
        Case{"      FunctionName: a b",
             "F: Properties.FunctionName: 1 validation error detected: Value 'a b' at "
             "'functionName' "
             "failed to satisfy constraint: Member must satisfy regular expression pattern: "
             "[a-zA-Z0-9-_]{1,64}"},
        Case{"      Policies: AWSLambdaBasicExecutionRole",
             "F: Properties.Policies: managed policy AWSLambdaBasicExecutionRole is not supported "
             "yet: "
             "write what it allows as a policy statement"},
        Case{"      Policies: [S3ReadPolicy: {BucketName: b}]",
             "F: Properties.Policies.0: policy template S3ReadPolicy is not supported yet: write "
             "what it "
             "allows as a policy statement"},
        Case{"      Policies: [{Statement: [{Effect: Allow, Action: 'a:b', Resource: '*', "
             "Condition: {}}]}]",
             "F: Properties.Policies.0.Statement.0.Condition: refused: conditions are not "
             "supported yet"},
        Case{"      Policies: [{Statement: [{Effect: Maybe, Action: 'a:b', Resource: '*'}]}]",
             "F: Properties.Policies.0.Statement.0.Effect: Syntax errors in policy: Effect must be "
             "Allow "
             "or Deny"},
        Case{
            "      Policies: [{Statement: [{Effect: Allow, Action: read, Resource: '*'}]}]",
            "F: Properties.Policies.0.Statement.0.Action: Actions/Conditions must be prefaced by a "
            "vendor, e.g., iam, sdb, ec2, etc."},
        Case{"      Policies: [{Statement: [{Effect: Allow, Action: 'a:b'}]}]",
             "F: Properties.Policies.0.Statement.0: Syntax errors in policy: the statement has no "
             "Resource"},
        Case{"      Description: !If [A, b, c]",
             "F: Properties.Description: function Fn::If is not supported yet; Ref, Fn::GetAtt, "
             "Fn::Sub "
             "and Fn::Join are"},
        Case{"      Description: !Ref Gone",
             "F: Properties.Description: Template format error: Unresolved resource dependencies "
             "[Gone] "
             "in the Resources block of the template"},
        Case{
            "      Description: !GetAtt F.Colour",
            "F: Properties.Description: Template error: resource F does not support attribute type "
            "Colour in Fn::GetAtt"},
        Case{
            "      Description: !Sub '${F.Version}'",
            "F: Properties.Description: Template error: resource F does not support attribute type "
            "Version in Fn::GetAtt"},
        Case{"      Description: !Join [a]",
             "F: Properties.Description: Template error: every Fn::Join object requires two "
             "parameters, "
             "(1) a string delimiter and (2) a list of strings to be joined or a function that "
             "returns "
             "a list of strings (such as Fn::GetAZs) to be joined."},
        Case{"      Description: !Sub '${a b}'",
             "F: Properties.Description: Template error: variable names in Fn::Sub syntax must "
             "contain "
             "only alphanumeric characters, underscores, periods, and colons"},
        Case{"      Description: '{{resolve:ssm:x}}'",
             "F: Properties.Description: dynamic references ({{resolve:…}}) are not supported yet"},
        Case{"      Description: ~",
             "F: Properties.Description: Template format error: null values are not allowed in "
             "templates"},
        Case{"      Events: {E: {Type: HttpApi}}",
             "F: Properties.Events.E.Type: Event with id [E] is invalid. Event type HttpApi is not "
             "supported yet; Api is"},
        Case{"      Events: {E: {Type: Apix}}",
             "F: Properties.Events.E.Type: Event with id [E] is invalid. Resource dict has missing "
             "or "
             "invalid value for key Type. Event Type is: Apix."},
        Case{"      Events: {E: {Type: Api, Properties: x}}",
             "F: Properties.Events.E.Properties: Event with id [E] is invalid. Properties should "
             "be a "
             "map."},
        Case{"      Events: [E]", "F: Properties.Events: Type of property 'Events' is invalid."},
        Case{"      Events: {E: {Type: Api, Properties: {Path: /t, Method: FETCH}}}",
             "F: Properties.Events.E.Properties.Method: Event with id [E] is invalid. Method FETCH "
             "is "
             "none of GET, POST, PUT, DELETE, PATCH, OPTIONS, HEAD, ANY"},
        Case{
            "      Events: {E: {Type: Api, Properties: {Path: 3, Method: GET}}}",
            "F: Properties.Events.E.Properties.Path: Event with id [E] is invalid. Property 'Path' "
            "should be a string."},
        Case{
            "      Events: {E: {Type: Api, Properties: {Path: '/{a+}/b', Method: GET}}}",
            "F: Properties.Events.E.Properties.Path: Event with id [E] is invalid. Cannot create a "
            "child of a resource with a greedy path variable: {a+}"},
        Case{"      Events: {E: {Type: Api, Properties: {Path: '/a{b}', Method: GET}}}",
             "F: Properties.Events.E.Properties.Path: Event with id [E] is invalid. Resource's "
             "path part "
             "only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the "
             "beginning "
             "and the end."},
        Case{"      Events: {E: {Type: Api, Properties: {Path: /t, Method: GET, Auth: {}}}}",
             "F: Properties.Events.E.Properties.Auth: refused: authorizers are not supported yet"},
        Case{
            "      Events: {E: {Type: Api, Properties: {Path: /t, Method: GET, RestApiId: !Ref "
            "Mine}}}",
            "F: Properties.Events.E.Properties.RestApiId: Event with id [E] is invalid. RestApiId "
            "must "
            "be a valid reference to an 'AWS::Serverless::Api' resource in same template. Only the "
            "implicit API is supported yet: leave RestApiId out"},
        Case{"      Events: {A: {Type: Api, Properties: {Path: /t, Method: GET}}, "
             "B: {Type: Api, Properties: {Path: /t, Method: get}}}",
             "F: Properties.Events.B: Event with id [B] is invalid. API method \"get\" defined "
             "multiple "
             "times for path \"/t\"."},
        Case{"      Events: {A: {Type: Api, Properties: {Path: '/t/{a}', Method: GET}}, "
             "B: {Type: Api, Properties: {Path: '/t/{b}/c', Method: get}}}",
             "F: Properties.Events.B: Event with id [B] is invalid. A sibling ({a}) of this "
             "resource "
             "already has a variable path part -- only one is allowed"}));

TEST(TemplateEngine, SnapStartIsRefusedInLambdasWordsWhereLambdaRefusesIt) {
  for (const std::string runtime : {"provided.al2023", "python3.11"}) {
    const std::string text =
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: "
        "AWS::Serverless::Function\n"
        "    Properties: {Runtime: " +
        runtime +
        ", Handler: a.b, CodeUri: code, SnapStart: {ApplyOn: PublishedVersions}, "
        "AutoPublishAlias: live}\n";
    EXPECT_TRUE(only_refusal(text).ends_with("F: Properties.SnapStart.ApplyOn: " + runtime +
                                             " is not supported for SnapStart enabled functions."))
        << runtime;
  }
  EXPECT_EQ(
      refusals_of("Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n"
                  "    Type: AWS::Serverless::Function\n    Properties: {Runtime: nodejs24.x, "
                  "Handler: a.b, CodeUri: code, SnapStart: {ApplyOn: PublishedVersions}}\n")
          .size(),
      2u);
}

TEST(TemplateEngine, WhatHasNoEffectIsToldAndNotHidden) {
  const Plan plan =
      plan_of(with_function("      Tags: {a: b}\n      SnapStart: {ApplyOn: PublishedVersions}"));
  ASSERT_EQ(plan.notes.size(), 2u);
  EXPECT_EQ(plan.notes[0].message, "has no effect: nothing here reads tags yet");
  EXPECT_EQ(plan.notes[0].line, 9);
  EXPECT_TRUE(plan.notes[1].message.find("without AutoPublishAlias") != std::string::npos);
}

TEST(TemplateEngine, ParametersTakeGivenValuesOverDefaultsAndCheckThem) {
  const std::string text = with_function(
      "      Description: !Ref P\n",
      "Parameters:\n  P: {Type: String, Default: one, AllowedValues: [one, two], MaxLength: 5}\n");
  EXPECT_EQ(plan_of(text).functions.at(0).spec.description, "one");
  EXPECT_EQ(plan_of(text, {{"P", "two"}}).functions.at(0).spec.description, "two");
  EXPECT_EQ(only_refusal(text, {{"P", "six"}}),
            "t:12:6: Parameters.P: Parameter 'P' value 'six' must be one of AllowedValues");
  EXPECT_EQ(only_refusal(text, {{"Q", "x"}}),
            "t: Parameters.Q: Parameters: [Q] do not exist in the template");
}

TEST(TemplateEngine, AParameterWithoutAValueIsRefused) {
  EXPECT_EQ(
      only_refusal(with_function("", "Parameters: {P: {Type: Number}}\n")),
      "t:10:17: Parameters.P: Parameters: [P] must have values: it has no Default and none was "
      "given");
  EXPECT_EQ(only_refusal(with_function("", "Parameters: {P: {Type: Number, Default: x}}\n")),
            "t:10:41: Parameters.P: Parameter 'P' value 'x' must be a number");
  EXPECT_EQ(only_refusal(with_function("", "Parameters: {P: {Type: AWS::SSM::Parameter::Name}}\n")),
            "t:10:24: Parameters.P: parameter type AWS::SSM::Parameter::Name is not supported yet");
}

TEST(TemplateEngine, AHiddenParameterIsNotShownInARefusal) {
  const std::string told = only_refusal(
      with_function("", "Parameters: {P: {Type: String, NoEcho: true, MinLength: 9}}\n"),
      {{"P", "secret"}});
  EXPECT_EQ(told.find("secret"), std::string::npos);
  EXPECT_NE(told.find("at least 9 characters"), std::string::npos);
}

TEST(TemplateEngine, SectionsAndTransformsAreRefusedByName) {
  EXPECT_EQ(only_refusal(with_function("", "Mappings: {}\n")),
            "t:10:1: Mappings: refused: not supported yet");
  EXPECT_EQ(
      only_refusal(with_function("", "Ressources: {}\n")),
      "t:10:1: Ressources: Invalid template property or properties [Ressources]. SAM calls this "
      "Resources");
  EXPECT_EQ(only_refusal(with_function("", "AWSTemplateFormatVersion: '2020-01-01'\n")),
            "t:10:27: AWSTemplateFormatVersion: Template format error: unsupported value for "
            "AWSTemplateFormatVersion.");
  EXPECT_EQ(only_refusal("Transform: AWS::Include\nResources: {C: {Type: AWS::DSQL::Cluster}}"),
            "t:1:12: Transform: transform AWS::Include is not supported yet");
  EXPECT_EQ(
      only_refusal(
          "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {Runtime: "
          "python3.12, Handler: a.b, CodeUri: code}"),
      "t:3:11: F: Type: Template format error: Unrecognized resource types: "
      "[AWS::Serverless::Function]. The template needs Transform: AWS::Serverless-2016-10-31");
  EXPECT_EQ(only_refusal("Transform: AWS::Serverless-2016-10-31\nResources: {}\n"),
            "t:2:12: Resources: Structure of the SAM template is invalid. 'Resources' section is "
            "required");
}

TEST(TemplateEngine, ResourcesAreRefusedByTypeAttributeAndProperty) {
  const auto cluster = [](const std::string& body) {
    return only_refusal("Resources:\n  C:\n    Type: AWS::DSQL::Cluster\n" + body);
  };
  EXPECT_EQ(only_refusal("Resources: {B: {Type: AWS::S3::Bucket}}"),
            "t:1:23: B: Type: resource type AWS::S3::Bucket is not supported yet; "
            "AWS::Serverless::Function and AWS::DSQL::Cluster are");
  EXPECT_EQ(cluster("    Condition: X\n"),
            "t:4:5: C: Condition: refused: conditions are not supported yet");
  EXPECT_EQ(
      cluster("    DependsOn: X\n"),
      "t:4:16: C: DependsOn: Template format error: Unresolved resource dependencies [X] in the "
      "Resources block of the template");
  EXPECT_EQ(
      cluster("    Properties: {MultiRegionProperties: {}}\n"),
      "t:4:18: C: Properties.MultiRegionProperties: refused: linked clusters are not supported "
      "yet");
  EXPECT_EQ(cluster("    Properties: {DeletionProtectionEnabled: maybe}\n"),
            "t:4:45: C: Properties.DeletionProtectionEnabled: Property 'DeletionProtectionEnabled' "
            "should be a boolean.");
  EXPECT_EQ(
      cluster("    Metadata: {BuildMethod: makefile}\n"),
      "t:4:29: C: Metadata.BuildMethod: refused: nothing is built here yet. Name the built folder "
      "by CodeUri and say SkipBuild: true");
  EXPECT_EQ(only_refusal("Resources: {C: 3, D: {Type: AWS::DSQL::Cluster}}"),
            "t:1:13: C: All 'Resources' must be Objects. If you're using YAML, this may be an "
            "indentation issue.");
}

TEST(TemplateEngine, GlobalsAreRefusedInSamsWords) {
  const std::string told = only_refusal(with_function("", "Globals: {Function: {Policies: []}}\n"));
  EXPECT_TRUE(told.starts_with(
      "t:10:22: Globals.Function.Policies: 'Globals' section is invalid. 'Policies' "
      "is not a supported property of 'Function'. Must be one of the following "
      "values - ['Handler', 'Runtime', 'CodeUri',"))
      << told;
  EXPECT_TRUE(
      only_refusal(with_function("", "Globals: {Funktion: {}}\n"))
          .starts_with("t:10:11: Globals.Funktion: 'Globals' section is invalid. 'Funktion' is not "
                       "supported. Must be one of the following values - ['Api', "));
  EXPECT_EQ(
      only_refusal(with_function("", "Globals: {Api: {Cors: '*'}}\n")),
      "t:10:17: Globals.Api.Cors: refused: not supported yet: answer OPTIONS in the function");
}

TEST(TemplateEngine, ACircleIsRefusedAsTheServiceDoes) {
  const std::string text = with_function(
      "      Environment: {Variables: {URL: !Ref ServerlessRestApi}}\n"
      "      Events: {E: {Type: Api, Properties: {Path: /t, Method: GET}}}");
  EXPECT_EQ(only_refusal(text),
            "t:4:5: Resources: Circular dependency between resources: [F, ServerlessRestApi]");
  EXPECT_TRUE(only_refusal(with_function("      Policies: [{Statement: {Effect: Allow, Action: "
                                         "'a:b', Resource: !GetAtt F.Arn}}]"))
                  .ends_with("Circular dependency between resources: [F, FRole]"));
}

TEST(TemplateEngine, IdsAreStablePerStackAndSeed) {
  const std::string text =
      with_function("      Events: {E: {Type: Api, Properties: {Path: /t, Method: GET}}}");
  const Plan first = plan_of(text);
  EXPECT_EQ(first.functions[0].spec.name, plan_of(text).functions[0].spec.name);
  EXPECT_EQ(first.apis[0].id.size(), 10u);
  Context other = test_context();
  other.seed = "another";
  const auto second = std::get<Plan>(read_template_text(text, kGolden / "t.yaml", {}, other));
  EXPECT_NE(first.functions[0].spec.name, second.functions[0].spec.name);
  EXPECT_NE(first.apis[0].id, second.apis[0].id);
}

TEST(TemplateEngine, ALongNameIsCutAsCloudFormationDoes) {
  Context context = test_context();
  context.stack = std::string(100, 's');
  const auto plan =
      std::get<Plan>(read_template_text(with_function(""), kGolden / "t.yaml", {}, context));
  EXPECT_LE(plan.functions[0].spec.name.size(), 64u);
}

TEST(TemplateEngine, AStackIsNamedForItsFolder) {
  EXPECT_EQ(stack_name_for("/a/todos/template.yaml"), "todos");
  EXPECT_EQ(stack_name_for("/a/my app/template.yaml"), "my-app");
  EXPECT_EQ(stack_name_for("/a/1st/template.yaml"), "stack-1st");
}

TEST(TemplateEngine, AMissingFileIsARefusalToo) {
  const auto result = read_template(kGolden / "absent.yaml", {}, test_context());
  ASSERT_TRUE(std::holds_alternative<std::vector<Refusal>>(result));
}

TEST(TemplateEngine, TheDocumentListsExactlyWhatIsRead) {
  const fs::path document = fs::path(ZORYA_TESTDATA) / "../../../docs/templates.md";
  const std::string text = base::read_file(document).value_or("");
  EXPECT_NE(text.find(supported_properties_markdown()), std::string::npos)
      << "docs/templates.md must hold:\n"
      << supported_properties_markdown();
}

// Bytes from outside: no file of the corpus, no cut and no flipped byte of one, may do more than be
// refused.
TEST(TemplateEngine, NoBytesBreakTheReader) {
  std::vector<std::string> texts;
  for (const fs::path& folder : {fs::path(ZORYA_TESTDATA) / "corpus", kGolden}) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.is_regular_file()) texts.push_back(base::read_file(entry.path()).value_or(""));
    }
  }
  ASSERT_GT(texts.size(), 6u);
  for (const std::string& text : texts) {
    read_text(text);
    for (std::size_t cut = 0; cut < text.size(); cut += text.size() / 40 + 1) {
      read_text(text.substr(0, cut));
      std::string flipped = text;
      flipped[cut] = static_cast<char>(flipped[cut] ^ 0x15);
      read_text(flipped);
    }
  }
}

TEST(TemplateEngine, DeepWideAndAliasedDocumentsAreBounded) {
  EXPECT_TRUE(only_refusal(std::string(500, '[')).find("nested more than 64 deep") !=
              std::string::npos);
  EXPECT_TRUE(only_refusal(std::string(kMaxTemplateBytes + 1, ' ')).find("longer than") !=
              std::string::npos);
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char name = 'b'; name < 'k'; ++name) {
    bomb += std::string(1, name) + ": &" + name + " [";
    for (int index = 0; index < 10; ++index)
      bomb += std::string("*") + static_cast<char>(name - 1) + ",";
    bomb += "]\n";
  }
  EXPECT_TRUE(only_refusal(bomb).find("more than 100000 values") != std::string::npos);
}

TEST(TemplateEngine, SyntaxErrorsHaveTheirLine) {
  EXPECT_EQ(only_refusal("a: 1\na: 2\n"), "t:2:1: Template format error: duplicate key 'a'");
  EXPECT_EQ(only_refusal("a: 1\n<<: {b: 1}\n"),
            "t:2:1: Template format error: merge keys (<<) are not supported");
  EXPECT_EQ(only_refusal("a: !Foo 1\n"),
            "t:1:4: Template format error: tag !Foo is no function of the template language");
  EXPECT_TRUE(only_refusal("a: [1\n").starts_with("t:"));
  EXPECT_EQ(only_refusal("a: 1\n---\nb: 1\n"),
            "t: Template format error: more than one document in one file");
  EXPECT_EQ(only_refusal(""), "t:1:1: Template format error: the template is empty");
}

}  // namespace
}  // namespace zorya::template_engine
