// invoke, status, force and reset: what is done with an instance as a whole.
#include "base/files.h"
#include "base/json_fields.h"
#include "cli/control.h"
#include "cli/control_messages.h"
#include "cli/data_folder.h"
#include "cli/database_control.h"
#include "cli/process_tree.h"
#include "cli/render.h"
#include "cli/run.h"

#include <boost/json.hpp>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <iterator>

namespace zorya::cli {
namespace {

namespace json = boost::json;
using base::text_of;

constexpr std::size_t kMaxPayloadBytes = 7u << 20;  // the service's own limit is told by the host
constexpr std::chrono::minutes kInvokePatience{17};
constexpr std::chrono::seconds kStatusPatience{10};

base::Result<std::string> payload_of(const std::string& argument) {
  if (argument.empty()) return std::string("{}");
  if (argument == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  if (argument.starts_with('@')) return base::read_file(argument.substr(1), kMaxPayloadBytes);
  return argument;
}

// The answer of the instance; what it refused is an error.
base::Result<json::object> ask(const Common& common, const ControlRequest& request,
                               std::chrono::milliseconds patience) {
  ZORYA_ASSIGN(const std::string line,
               ask_instance(common.data_folder, control_text(request), patience));
  json::error_code error;
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // a function may print anything
  json::value value = json::parse(line, error, {}, options);
  if (error || !value.is_object()) {
    return base::Error{base::Code::kInternal, "the instance's answer is not JSON", {}};
  }
  const json::object& object = value.as_object();
  if (const json::value* refusal = object.if_contains("error"); refusal && refusal->is_string()) {
    return base::Error{base::Code::kFailedPrecondition, std::string(refusal->as_string()),
                       text_of(object, "hint")};
  }
  return std::move(value.as_object());
}

void print_stopped(const Common& common) {
  if (common.json) {
    std::puts("{\"running\":false,\"aws_endpoint\":null}");
    return;
  }
  std::printf("no instance runs on %s\n", common.data_folder.c_str());
  const auto state = read_state(common.data_folder);
  if (!state) return;
  for (const auto& [stack, resources] : state->stacks) {
    for (const auto& [logical_id, resource] : resources) {
      std::printf("%s  %s  %s  %s%s\n", stack.c_str(), logical_id.c_str(), resource.type.c_str(),
                  resource.id.c_str(), resource.is_left ? "  (left the template, kept)" : "");
    }
  }
}

bool user_agrees(const Common& common) {
  std::fprintf(
      stderr, "Remove everything in %s, all rows included? Type yes: ", common.data_folder.c_str());
  std::string line;
  return std::getline(std::cin, line) && line == "yes";
}

}  // namespace

int run_invoke(const Common& common, const InvokeArguments& arguments) {
  auto payload = payload_of(arguments.payload);
  if (!payload) return fail(common, payload.error());
  const auto answer =
      ask(common, {"invoke", arguments.function, std::move(*payload)}, kInvokePatience);
  if (!answer) return fail(common, answer.error());
  const bool is_ok = text_of(*answer, "outcome") == "ok";
  if (common.json) {
    std::puts(json::serialize(*answer).c_str());
    return is_ok ? 0 : 1;
  }
  std::puts(text_of(*answer, "payload").c_str());
  if (arguments.show_log) std::fputs(text_of(*answer, "log_tail").c_str(), stderr);
  if (!is_ok) {
    std::fprintf(stderr, "zorya: %s %s\n", text_of(*answer, "outcome").c_str(),
                 text_of(*answer, "reason").c_str());
  }
  return is_ok ? 0 : 1;
}

int run_status(const Common& common, const StatusArguments&) {
  const auto info = find_instance(common.data_folder);
  if (!info) {
    print_stopped(common);
    return 1;
  }
  auto answer = ask(common, {"status", {}, {}}, kStatusPatience);
  if (!answer) return fail(common, answer.error());
  const std::uint64_t memory_bytes = memory_of(process_tree(info->pid));
  (*answer)["running"] = true;
  (*answer)["memory_bytes"] = memory_bytes;
  const std::string text = json::serialize(*answer);
  std::fputs((common.json ? text + "\n" : status_lines(text, memory_bytes)).c_str(), stdout);
  return 0;
}

int run_force(const Common& common, const ForceArguments& arguments) {
  const auto answer =
      ask(common, {"force", arguments.cluster, force_text(arguments)}, kStatusPatience);
  if (!answer) return fail(common, answer.error());
  const std::string text = json::serialize(*answer);
  std::fputs((common.json ? text + "\n" : forced_lines(text)).c_str(), stdout);
  return 0;
}

int run_reset(const Common& common, const ResetArguments& arguments) {
  const auto state = read_state(common.data_folder);
  if (!state && state.error().code == base::Code::kNotFound) return fail(common, state.error());
  auto folder = DataFolder::take(common.data_folder);
  if (!folder) return fail(common, folder.error());
  if (!arguments.yes && (::isatty(STDIN_FILENO) == 0 || !user_agrees(common))) {
    return fail(common,
                {base::Code::kFailedPrecondition, "nothing was removed", "zorya reset --yes"});
  }
  const auto left = remove_made(common.data_folder);
  if (!left) return fail(common, left.error());
  json::array names;
  for (const std::string& name : *left) names.push_back(json::value(name));
  if (common.json) {
    std::puts(json::serialize(json::object{{"removed", common.data_folder.string()},
                                           {"kept", std::move(names)}})
                  .c_str());
    return 0;
  }
  std::printf("removed what zorya made in %s\n", common.data_folder.c_str());
  for (const std::string& name : *left) std::printf("kept, not zorya's: %s\n", name.c_str());
  return 0;
}

}  // namespace zorya::cli
