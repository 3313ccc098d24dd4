// Drives a function host from standard input, for tests in Python and for benchmarks.
//
//   host_tool --data D --code FOLDER --runtime python3.12 --handler app.handler [--snap-start]
//   [--alias live] …
//
// Lines in:  "publish", "publish-and-stop", "invoke JSON", "burst COUNT JSON" (all at once),
// "status", "code FOLDER", "quit" Lines out: JSON objects, one per answer; log lines of functions
// go to --log FILE, segments to --segments FILE.

#include "base/files.h"
#include "base/launcher.h"
#include "function_host/host.h"
#include "function_host/platform_log.h"

#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace zorya;
using function_host::json_quote;

class FileSink final : public telemetry::Sink {
 public:
  FileSink(const std::string& log, const std::string& segments) : log_(log), segments_(segments) {}
  void log(telemetry::LogEvent event) noexcept override {
    const std::lock_guard lock(mutex_);
    log_ << event.message << std::endl;
  }
  void segment(std::string document) noexcept override {
    const std::lock_guard lock(mutex_);
    segments_ << document << std::endl;
  }

 private:
  std::mutex mutex_;
  std::ofstream log_;
  std::ofstream segments_;
};

struct Settings {
  function_host::FunctionSpec spec;
  function_host::Options options;
  std::string log = "/dev/null";
  std::string segments = "/dev/null";
};

bool parse(int argc, char** argv, Settings& settings) {
  function_host::FunctionSpec& spec = settings.spec;
  function_host::Options& options = settings.options;
  spec.name = "f";
  std::map<std::string, std::function<void(const std::string&)>> takes = {
      {"--data", [&](const auto& v) { options.data_folder = v; }},
      {"--code", [&](const auto& v) { spec.code_folder = v; }},
      {"--runtime", [&](const auto& v) { spec.runtime = v; }},
      {"--handler", [&](const auto& v) { spec.handler = v; }},
      {"--alias", [&](const auto& v) { spec.alias = v; }},
      {"--timeout",
       [&](const auto& v) { spec.timeout = std::chrono::seconds(std::atoi(v.c_str())); }},
      {"--memory", [&](const auto& v) { spec.memory_size_mb = std::atoi(v.c_str()); }},
      {"--parked", [&](const auto& v) { options.parked_ahead = std::atoi(v.c_str()); }},
      {"--concurrency", [&](const auto& v) { options.concurrency_max = std::atoi(v.c_str()); }},
      {"--ca", [&](const auto& v) { options.ca_bundle = v; }},
      {"--log", [&](const auto& v) { settings.log = v; }},
      {"--segments", [&](const auto& v) { settings.segments = v; }},
      {"--env",
       [&](const auto& v) {
         const std::size_t equals = v.find('=');
         spec.environment[v.substr(0, equals)] = v.substr(equals + 1);
       }},
  };
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--snap-start") {
      spec.snap_start = function_host::SnapStart::kPublishedVersions;
    } else if (name == "--no-cgroups") {
      options.cgroups = function_host::CgroupMode::kOff;
    } else if (name == "--nearest") {
      options.nearest_runtime = true;
    } else if (name == "--json-log") {
      spec.log_format = function_host::LogFormat::kJson;
    } else if (const auto found = takes.find(name); found != takes.end() && i + 1 < argc) {
      found->second(argv[++i]);
    } else {
      std::cerr << "host_tool: unknown option " << name << "\n";
      return false;
    }
  }
  return true;
}

std::string to_json(const function_host::InvokeResult& result, double ms) {
  return "{\"outcome\":" + std::to_string(static_cast<int>(result.outcome)) +
         ",\"payload\":" + json_quote(result.payload) +
         ",\"function_error\":" + json_quote(result.function_error) +
         ",\"request_id\":" + json_quote(result.request_id) +
         ",\"version\":" + json_quote(result.executed_version) +
         ",\"reason\":" + json_quote(result.reason) +
         ",\"log_tail\":" + json_quote(result.log_tail) + ",\"ms\":" + std::to_string(ms) + "}";
}

std::string to_json(const function_host::VersionInfo& info) {
  return "{\"version\":" + json_quote(info.version) +
         ",\"state\":" + std::to_string(static_cast<int>(info.state)) +
         ",\"reason_code\":" + json_quote(info.state_reason_code) +
         ",\"restore_path\":" + json_quote(info.restore_path) +
         ",\"restore_reason\":" + json_quote(info.restore_reason) +
         ",\"init_ms\":" + std::to_string(info.init_duration.count()) + "}";
}

/// Waits for a number of answers that come on the host's thread.
class Collector {
 public:
  void add(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    wake_.notify_all();
  }
  void print(std::size_t count) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return lines_.size() >= count; });
    for (const auto& line : lines_) std::cout << line << "\n";
    std::cout << std::flush;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::string> lines_;
};

/// Stands for the router: greets each connection with a number of its own, so that they can be told
/// apart. "hold N" makes the next N wait for each other: N functions are then under way at once.
class Greeter {
 public:
  void hold(std::size_t count) {
    const std::lock_guard lock(mutex_);
    held_until_ = kept_.size() + count;
  }
  void take(base::UniqueFd connection) {
    const std::lock_guard lock(mutex_);
    kept_.push_back(std::move(connection));
    if (kept_.size() < held_until_) return;
    for (; greeted_ < kept_.size(); ++greeted_) {
      const std::string greeting = "connection " + std::to_string(greeted_) + "\n";
      ::send(kept_[greeted_].get(), greeting.data(), greeting.size(), MSG_NOSIGNAL);
    }
  }

 private:
  std::mutex mutex_;
  std::vector<base::UniqueFd> kept_;  // for ever: a closed one would be a message too
  std::size_t greeted_ = 0;
  std::size_t held_until_ = 0;
};

void publish(function_host::FunctionHost& host, const function_host::FunctionSpec& spec) {
  Collector answer;
  host.publish(spec, [&](base::Result<function_host::VersionInfo> info) {
    answer.add(info ? to_json(*info)
                    : "{\"error\":" + json_quote(base::to_string(info.error())) + "}");
  });
  answer.print(1);
}

void burst(function_host::FunctionHost& host, const std::string& function, int count,
           const std::string& payload) {
  Collector answers;
  for (int i = 0; i < count; ++i) {
    const auto began = std::chrono::steady_clock::now();
    host.invoke({function, payload, "", ""}, [&, began](const function_host::InvokeResult& result) {
      const std::chrono::duration<double, std::milli> ms = std::chrono::steady_clock::now() - began;
      answers.add(to_json(result, ms.count()));
    });
  }
  answers.print(static_cast<std::size_t>(count));
}

void status(const function_host::FunctionHost& host) {
  const auto status = host.status();
  std::cout << "{\"idle\":" << status.environments_idle << ",\"busy\":" << status.environments_busy
            << ",\"parked\":" << status.environments_parked
            << ",\"cgroups\":" << (status.cgroups ? "true" : "false") << "}" << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  settings.options.library_folder = base::program_folder() / "../lib/zorya";
  if (!parse(argc, argv, settings)) return 2;
  FileSink sink(settings.log, settings.segments);
  auto launcher = base::Launcher::create();
  if (!launcher) return 1;
  settings.options.launcher = launcher->get();
  settings.options.sink = &sink;
  settings.options.credentials = [](const std::string&) {
    return function_host::Credentials{"ASIATEST", "secret", "token",
                                      std::chrono::system_clock::now() + std::chrono::hours(1)};
  };
  Greeter greeter;
  settings.options.on_database_connection =
      [&greeter](base::UniqueFd connection, const std::string&, const std::shared_ptr<void>&) {
        greeter.take(std::move(connection));
      };
  auto host = function_host::make_host(settings.options);
  if (!host) {
    std::cout << "{\"error\":" << json_quote(base::to_string(host.error())) << "}" << std::endl;
    return 1;
  }
  for (std::string line; std::getline(std::cin, line) && line != "quit";) {
    const std::string verb = line.substr(0, line.find(' '));
    const std::string rest = verb.size() < line.size() ? line.substr(verb.size() + 1) : "";
    if (verb == "publish") publish(**host, settings.spec);
    if (verb == "code") settings.spec.code_folder = rest;
    if (verb == "hold") greeter.hold(static_cast<std::size_t>(std::atoi(rest.c_str())));
    if (verb == "invoke") burst(**host, settings.spec.name, 1, rest);
    if (verb == "burst") {
      const std::size_t space = rest.find(' ');
      burst(**host, settings.spec.name, std::atoi(rest.c_str()), rest.substr(space + 1));
    }
    if (verb == "status") status(**host);
    if (verb == "publish-and-stop") {  // in the middle of whatever it takes
      (*host)->publish(settings.spec, [](const auto&) {});
      std::this_thread::sleep_for(std::chrono::seconds(2));
      break;
    }
  }
  host->reset();
  return 0;
}
