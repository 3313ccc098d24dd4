#pragma once

#include "template_engine/plan.h"

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace zorya::template_engine {

/// Values given to the template's parameters from outside; a template's Default fills the rest.
using ParameterValues = std::map<std::string, std::string>;

/// Where the stack lives, and how its ids are made.
struct Context {
  std::string stack;  // [a-zA-Z][-a-zA-Z0-9]*, up to 128 characters
  std::string region = "us-east-1";
  std::string account = "000000000000";
  std::string seed;  // the instance's own random value: two instances do not share ids
  /// The id of the cluster that belongs to a logical id, the same at each call.
  std::function<std::string(std::string_view logical_id)> cluster_id;
};

/// Everything the template asks for, or every reason why it is not taken: never both, never a part.
using ReadResult = std::variant<Plan, std::vector<Refusal>>;

/// Reads the template at `path` (YAML or JSON). Code folders are looked up beside it. Any thread;
/// no state, no effect.
ReadResult read_template(const std::filesystem::path& path, const ParameterValues& parameters,
                         const Context& context);

/// The same of a text; `path` is where the text is from: named in refusals, its folder is where
/// code folders are looked up.
ReadResult read_template_text(std::string_view text, const std::filesystem::path& path,
                              const ParameterValues& parameters, const Context& context);

/// The template of a folder, or the file itself: template.yaml, template.yml, template.json.
base::Result<std::filesystem::path> find_template(const std::filesystem::path& folder_or_file);

/// A stack name made of a folder's name: what may not stand in one becomes '-'.
std::string stack_name_for(const std::filesystem::path& template_file);

/// What each place of a template may say and what becomes of it, as Markdown tables.
/// docs/templates.md holds them, and a test compares.
std::string supported_properties_markdown();

}  // namespace zorya::template_engine
