#pragma once

#include "function_host/client.h"
#include "iam/key_store.h"

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace zorya::template_engine {

/// One reason a template is not taken: where, what, and how to mend it. All of a template's are
/// given at once.
struct Refusal {
  std::filesystem::path file;
  int line = 0;  // from 1; 0: unknown
  int column = 0;
  std::string logical_id;  // may be empty
  std::string property;    // "Properties.Events.List.Properties.Method"; may be empty
  std::string message;
};

/// "template.yaml:12:5: ManageTodosFunction: Properties.…: message"
std::string to_string(const Refusal& refusal);

/// One route of a REST API.
struct Route {
  std::string method;    // upper case, or "ANY"
  std::string path;      // "/todos/{id}", "/{proxy+}"
  std::string function;  // function name
};

struct RestApi {
  std::string logical_id;  // "ServerlessRestApi" for the implicit one
  std::string id;          // ten characters, stable per stack and logical id
  std::string name;        // as X-Ray and the console show it; SAM names it like the stack
  std::string stage = "Prod";
  bool tracing_enabled = false;
  std::vector<std::string> binary_media_types;         // "image/png", "image/*", "*/*"
  std::map<std::string, std::string> stage_variables;  // Variables of the stage
  std::vector<Route> routes;
};

struct ClusterResource {
  std::string logical_id;  // empty for a cluster that is only named by a literal endpoint
  std::string id;          // 26 characters
  bool deletion_protection = false;
};

struct FunctionResource {
  std::string logical_id;
  function_host::FunctionSpec spec;
  std::vector<iam::Statement> policy;  // of its execution role
};

struct Output {
  std::string name;
  std::string value;
  std::string description;
};

/// What a template asks for, everything resolved.
struct Plan {
  std::string stack;
  std::vector<FunctionResource> functions;
  std::vector<RestApi> apis;
  std::vector<ClusterResource> clusters;
  std::vector<Output> outputs;
  std::vector<Refusal> notes;  // what the template says without effect here; for the user to read
};

}  // namespace zorya::template_engine
