#include "template_engine/plan_text.h"

namespace zorya::template_engine {
namespace {

std::string joined(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& one : list) text += (text.empty() ? "" : ",") + one;
  return text;
}

std::string pair_text(std::string name, std::string_view value, std::string_view between = "=") {
  return name.append(between).append(value);
}

void add_line(std::string& text, const std::string& indent, std::string_view name,
              const std::string& value) {
  text += indent;
  text.append(name).append(" ").append(value).append("\n");
}

void add_function(std::string& text, const FunctionResource& function,
                  const std::filesystem::path& folder) {
  const function_host::FunctionSpec& spec = function.spec;
  const std::string in = "  ";
  add_line(text, "", "function", function.logical_id);
  add_line(text, in, "name", spec.name);
  add_line(text, in, "description", spec.description);
  add_line(text, in, "runtime", spec.runtime + " " + spec.handler);
  add_line(text, in, "code", spec.code_folder.lexically_relative(folder).string());
  add_line(text, in, "limits",
           std::to_string(spec.memory_size_mb) + " MB, " + std::to_string(spec.timeout.count()) +
               " s, /tmp " + std::to_string(spec.ephemeral_storage_mb) + " MB");
  add_line(text, in, "snap_start",
           spec.snap_start == function_host::SnapStart::kNone ? "None" : "PublishedVersions");
  add_line(text, in, "alias", spec.alias);
  add_line(
      text, in, "logs",
      (spec.log_format == function_host::LogFormat::kJson ? "JSON " : "Text ") + spec.log_group);
  add_line(text, in, "tracing", spec.tracing_active ? "active" : "passive");
  add_line(text, in, "role", spec.role_arn);
  for (const auto& [name, value] : spec.environment)
    add_line(text, in, "env", pair_text(name, value));
  for (const iam::Statement& statement : function.policy) {
    add_line(text, in, statement.allow ? "allow" : "deny",
             joined(statement.actions) + " on " + joined(statement.resources));
  }
}

}  // namespace

std::string plan_text(const Plan& plan, const std::filesystem::path& folder) {
  std::string text;
  add_line(text, "", "stack", plan.stack);
  for (const ClusterResource& cluster : plan.clusters) {
    add_line(text, "", "cluster",
             (cluster.logical_id.empty() ? "(literal)" : cluster.logical_id) + " " + cluster.id +
                 (cluster.deletion_protection ? " protected" : ""));
  }
  for (const FunctionResource& function : plan.functions) add_function(text, function, folder);
  for (const RestApi& api : plan.apis) {
    add_line(
        text, "", "api",
        api.logical_id + " " + api.id + " " + api.stage + (api.tracing_enabled ? " traced" : ""));
    for (const std::string& type : api.binary_media_types) add_line(text, "  ", "binary", type);
    for (const auto& [name, value] : api.stage_variables) {
      add_line(text, "  ", "variable", pair_text(name, value));
    }
    for (const Route& route : api.routes) {
      add_line(text, "  ", route.method, pair_text(route.path, route.function, " -> "));
    }
  }
  for (const Output& output : plan.outputs) {
    add_line(text, "", "output", output.name + " = " + output.value);
  }
  for (const Refusal& note : plan.notes) {
    Refusal relative = note;
    relative.file = note.file.filename();
    add_line(text, "", "note", to_string(relative));
  }
  return text;
}

}  // namespace zorya::template_engine
