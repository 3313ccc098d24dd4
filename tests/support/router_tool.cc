// zorya_router_tool DATA_FOLDER CLUSTER_ID=SOCKET_FOLDER... [--option=number]...
//
// Runs the session router alone for tests and benchmarks, in front of servers that someone else
// started: prints one line of JSON, and stops when standard input ends. Each line read meanwhile is
// a question: "status" prints counts, "session" mints keys of a session that may do nothing,
// "adopt PATH" hands over one connection accepted on a new Unix socket of that path. Options lower
// the limits: port, half-open-max, login-deadline, backend-patience, connections-max, rate, burst,
// message-bytes-max, session-life, transaction-age.

#include "base/unique_fd.h"
#include "iam/key_store.h"
#include "net/authority.h"
#include "router/router.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <string>
#include <thread>

namespace {

using zorya::base::Code;
using zorya::base::Error;
using zorya::base::Result;

struct Arguments {
  std::string data_folder;
  std::map<std::string, std::string, std::less<>> clusters;
  zorya::router::Options options;
};

bool set_option(zorya::router::Options& options, const std::string& name, const std::string& text) {
  const double value = std::atof(text.c_str());
  const auto seconds = std::chrono::seconds(static_cast<long>(value));
  auto& limits = options.limits;
  if (name == "port")
    options.port = static_cast<std::uint16_t>(value);
  else if (name == "half-open-max")
    limits.half_open_max = static_cast<std::size_t>(value);
  else if (name == "login-deadline")
    limits.login_deadline = seconds;
  else if (name == "backend-patience")
    limits.backend_patience = seconds;
  else if (name == "connections-max")
    limits.connections_per_cluster_max = static_cast<std::size_t>(value);
  else if (name == "rate")
    limits.new_connections_per_second = value;
  else if (name == "burst")
    limits.new_connections_burst = value;
  else if (name == "message-bytes-max")
    limits.message_bytes_max = static_cast<std::uint32_t>(value);
  else if (name == "session-life")
    limits.session_life = seconds;
  else if (name == "transaction-age")
    limits.transaction_age_max = seconds;
  else
    return false;
  return true;
}

Result<Arguments> parse(int argc, char** argv) {
  Arguments out;
  out.options.port = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::size_t equal = argument.find('=');
    const bool named = equal != std::string::npos;
    if (named && argument.starts_with("--")) {
      if (set_option(out.options, argument.substr(2, equal - 2), argument.substr(equal + 1)))
        continue;
      return Error{Code::kInvalidArgument, "unknown option " + argument, {}};
    }
    if (named) {
      out.clusters[argument.substr(0, equal)] = argument.substr(equal + 1);
    } else {
      out.data_folder = argument;
    }
  }
  if (!out.data_folder.empty()) return out;
  return Error{
      Code::kInvalidArgument,
      "usage: zorya_router_tool DATA_FOLDER CLUSTER_ID=SOCKET_FOLDER... [--option=number]...",
      {}};
}

void say(const std::string& json) {
  std::cout << json << "\n";
  std::cout.flush();
}

std::string member(const std::string& name, const std::string& value) {
  return "\"" + name + "\":\"" + value + "\"";
}

std::string key_json(const zorya::iam::AccessKey& key) {
  return member("access_key_id", key.access_key_id) + "," +
         member("secret_access_key", key.secret_access_key) + "," +
         member("session_token", key.session_token);
}

/// Stands in for a function's environment: accepts one connection elsewhere and hands it over.
void adopt_one(zorya::router::Router& router, const std::string& path) {
  zorya::base::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  std::strncpy(where.sun_path, path.c_str(), sizeof where.sun_path - 1);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
      ::listen(listener.get(), 1) != 0) {
    say("{\"error\":\"cannot listen\"}");
    return;
  }
  say("{\"listening\":true}");
  router.adopt(zorya::base::UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)),
               "function test", nullptr);
}

int serve(zorya::router::Router& router, zorya::iam::KeyStore& keys) {
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line == "session") {
      say("{" +
          key_json(keys.mint_session(
              {.arn = "arn:aws:sts::000000000000:assumed-role/none/f", .policy = {}},
              std::chrono::seconds(900))) +
          "}");
    } else if (line.starts_with("adopt ")) {
      adopt_one(router, line.substr(6));
    } else {
      const auto status = router.status();
      say("{\"sessions\":" + std::to_string(status.sessions) + ",\"half_open\":" +
          std::to_string(status.half_open) + ",\"accepted\":" + std::to_string(status.accepted) +
          ",\"refused\":" + std::to_string(status.refused) +
          ",\"told\":" + std::to_string(status.losses.told) +
          ",\"backends_lost\":" + std::to_string(status.losses.backends_lost) + "}");
    }
  }
  router.stop();
  return 0;
}

Result<int> run(Arguments arguments) {
  const std::filesystem::path data = arguments.data_folder;
  ZORYA_ASSIGN(auto authority, zorya::net::Authority::open({.folder = data / "ca"}));
  ZORYA_ASSIGN(auto keys, zorya::iam::KeyStore::open(data / "keys", "000000000000"));
  arguments.options.authority = authority.get();
  arguments.options.keys = keys.get();
  arguments.options.find_cluster =
      [clusters = arguments.clusters](std::string_view id) -> Result<zorya::router::BackendTarget> {
    const auto found = clusters.find(id);
    if (found == clusters.end()) return Error{Code::kNotFound, "no such cluster", {}};
    return zorya::router::BackendTarget{.socket_folder = found->second};
  };
  ZORYA_ASSIGN(auto router, zorya::router::Router::start(arguments.options));
  say("{\"port\":" + std::to_string(router->port()) + "," +
      member("ca_file", authority->certificate_file().string()) + "," + key_json(keys->admin()) +
      "}");
  return serve(*router, *keys);
}

}  // namespace

int main(int argc, char** argv) {
  auto arguments = parse(argc, argv);
  auto result = arguments ? run(std::move(*arguments)) : Result<int>(arguments.error());
  if (result) return *result;
  std::fprintf(stderr, "%s\n", to_string(result.error()).c_str());
  return 1;
}
