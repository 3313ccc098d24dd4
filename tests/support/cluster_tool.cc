// zorya_cluster_tool DATA_FOLDER LIBRARY_FOLDER [--owner-door] [--environment=NAME=VALUE]...
//     [--setting=NAME=VALUE]... CLUSTER_ID...
//
// Runs the real cluster room for tests: makes or starts the clusters, prints one line of JSON, and
// stops them when standard input ends. Each line read meanwhile is a question: "list" prints the
// line again, "ensure ID" starts one more, "backup ID FOLDER" and "restore ID FOLDER" copy one.
// Errors are JSON too: {"error": "..."}.

#include "base/files.h"
#include "base/launcher.h"
#include "cluster/client.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

namespace {

using zorya::cluster::ClusterInfo;
using zorya::cluster::Clusters;

std::string json_text(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return json + "\"";
}

std::string to_json(const ClusterInfo& info) {
  return "{\"id\":" + json_text(info.id) + ",\"endpoint\":" + json_text(info.endpoint) +
         ",\"state\":" + json_text(state_name(info.state)) +
         ",\"reason\":" + json_text(info.reason) +
         ",\"socket_folder\":" + json_text(info.socket_folder.string()) +
         ",\"postmaster_pid\":" + std::to_string(info.postmaster_pid) + "}";
}

void say(const std::string& line) {
  std::cout << line << "\n";
  std::cout.flush();
}

int fail(const zorya::base::Error& error) {
  say("{\"error\":" + json_text(to_string(error)) + "}");
  return 1;
}

void say_list(const Clusters& clusters) {
  std::string json = "{\"clusters\":[";
  for (const ClusterInfo& info : clusters.list()) {
    if (json.back() == '}') json += ',';
    json += to_json(info);
  }
  say(json + "]}");
}

// "backup ID FOLDER" or "restore ID FOLDER"
zorya::base::Result<void> copy(Clusters& clusters, const std::string& line) {
  const std::size_t id = line.find(' ') + 1;
  const std::size_t folder = line.find(' ', id) + 1;
  const std::string name = line.substr(id, folder - id - 1);
  const auto go_on = [](const zorya::cluster::CopyProgress&) { return true; };
  const auto done = line.starts_with("backup ")
                        ? clusters.back_up(name, line.substr(folder), {}, go_on)
                        : clusters.restore(line.substr(folder), name, go_on);
  if (!done) return done.error();
  return {};
}

int serve(Clusters& clusters, const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    if (auto ensured = clusters.ensure(id); !ensured) return fail(ensured.error());
  }
  say_list(clusters);
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line.starts_with("ensure ")) {
      if (auto ensured = clusters.ensure(line.substr(7)); !ensured) {
        fail(ensured.error());
        continue;
      }
    } else if (line.starts_with("backup ") || line.starts_with("restore ")) {
      if (auto done = copy(clusters, line); !done) {
        fail(done.error());
        continue;
      }
    }
    say_list(clusters);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  zorya::cluster::Options options;
  std::vector<std::string> ids;
  for (const std::string& argument : arguments) {
    if (argument == "--owner-door") {
      options.owner_door = true;
    } else if (argument.starts_with("--environment=")) {
      options.server_environment.push_back(argument.substr(std::strlen("--environment=")));
    } else if (argument.starts_with("--setting=")) {
      const std::string setting = argument.substr(std::strlen("--setting="));
      const std::size_t equals = std::min(setting.find('='), setting.size() - 1);
      options.server_settings.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
    } else if (options.data_folder.empty()) {
      options.data_folder = argument;
    } else if (options.library_folder.empty()) {
      options.library_folder = argument;
    } else {
      ids.push_back(argument);
    }
  }
  if (options.library_folder.empty()) {
    std::fprintf(stderr,
                 "zorya_cluster_tool DATA_FOLDER LIBRARY_FOLDER [--owner-door]"
                 " [--environment=NAME=VALUE]... [--setting=NAME=VALUE]... CLUSTER_ID...\n");
    return 2;
  }
  if (auto made = zorya::base::make_folder(options.data_folder, 0700); !made) {
    return fail(made.error());
  }
  auto launcher = zorya::base::Launcher::create();
  if (!launcher) return fail(launcher.error());
  auto clusters = Clusters::open(options, **launcher);
  if (!clusters) return fail(clusters.error());
  return serve(**clusters, ids);
}
