// logs and traces: read from the data folder's file, whether an instance runs or not.
#include "base/clock.h"
#include "cli/data_folder.h"
#include "cli/instance_file.h"
#include "cli/render.h"
#include "cli/run.h"
#include "telemetry/reader.h"

#include <csignal>
#include <cstdio>
#include <thread>

namespace zorya::cli {
namespace {

constexpr std::chrono::milliseconds kFollowPause{150};

// The log group of a function by name or logical id: as the instance says, else as the state knows
// it.
base::Result<std::string> group_of(const Common& common, const std::string& function) {
  if (const auto info = find_instance(common.data_folder)) {
    ZORYA_ASSIGN(const RunningFunction chosen, choose_function(*info, function));
    return chosen.log_group;
  }
  ZORYA_ASSIGN(const State state, read_state(common.data_folder));
  for (const auto& [stack, resources] : state.stacks) {
    const auto found = resources.find(function);
    if (found != resources.end()) return "/aws/lambda/" + found->second.id;
  }
  return "/aws/lambda/" + function;
}

base::Result<std::unique_ptr<telemetry::Reader>> open_reader(const Common& common) {
  auto reader = telemetry::Reader::open(telemetry_file(common.data_folder));
  if (!reader && reader.error().code == base::Code::kNotFound) {
    return base::Error{
        base::Code::kNotFound, "nothing was ever started in " + common.data_folder.string(), {}};
  }
  return reader;
}

void print_events(const Common& common, const telemetry::LogPage& page) {
  for (const telemetry::LogEvent& event : page.events) {
    std::puts((common.json ? log_json(event) : log_line(event)).c_str());
  }
  std::fflush(stdout);
}

}  // namespace

int run_logs(const Common& common, const LogsArguments& arguments) {
  telemetry::LogQuery query;
  if (!arguments.function.empty()) {
    auto group = group_of(common, arguments.function);
    if (!group) return fail(common, group.error());
    query.group = std::move(*group);
  }
  if (arguments.since) query.since = base::system_clock().now() - *arguments.since;
  query.contains = arguments.filter;
  query.limit = arguments.limit;
  query.newest = true;
  auto reader = open_reader(common);
  if (!reader) return fail(common, reader.error());
  auto page = (*reader)->logs(query);
  if (!page) return fail(common, page.error());
  print_events(common, *page);
  query.newest = false;
  while (arguments.follow && std::ferror(stdout) == 0) {
    query.after = page->cursor;
    page = (*reader)->logs(query);
    if (!page) return fail(common, page.error());
    print_events(common, *page);
    if (page->events.size() < query.limit) std::this_thread::sleep_for(kFollowPause);
  }
  return 0;
}

int run_traces(const Common& common, const TracesArguments& arguments) {
  auto reader = open_reader(common);
  if (!reader) return fail(common, reader.error());
  if (!arguments.trace_id.empty()) {
    const auto roots = (*reader)->trace(arguments.trace_id);
    if (!roots) return fail(common, roots.error());
    std::fputs((common.json ? trace_json(*roots) + "\n" : trace_tree(*roots)).c_str(), stdout);
    return 0;
  }
  const auto traces = (*reader)->traces(arguments.limit);
  if (!traces) return fail(common, traces.error());
  for (const telemetry::TraceSummary& trace : *traces) {
    std::puts((common.json ? trace_summary_json(trace) : trace_line(trace)).c_str());
  }
  return 0;
}

}  // namespace zorya::cli
