// psql, token and hosts: what a client needs to reach a cluster.
#include "base/clock.h"
#include "cli/instance_file.h"
#include "cli/render.h"
#include "cli/run.h"
#include "iam/dsql_token.h"

#include <boost/json.hpp>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace zorya::cli {
namespace {

base::Result<std::string> fresh_token(const Common& common, const ReachableCluster& cluster,
                                      const TokenArguments& arguments) {
  // Opening makes the keys of a folder that has none; a running instance has them.
  ZORYA_ASSIGN(const auto keys, iam::KeyStore::open(common.data_folder / "keys", "000000000000"));
  return iam::make_dsql_token(keys->admin(), {.host = cluster.endpoint,
                                              .region = cluster.region,
                                              .role = arguments.role,
                                              .now = base::system_clock().now(),
                                              .lifetime = arguments.lifetime});
}

struct Target {
  InstanceInfo info;
  ReachableCluster cluster;
};

base::Result<Target> find_target(const Common& common, const std::string& name) {
  ZORYA_ASSIGN(InstanceInfo info, find_instance(common.data_folder));
  ZORYA_ASSIGN(ReachableCluster cluster, choose_cluster(info, name));
  return Target{std::move(info), std::move(cluster)};
}

}  // namespace

int run_token(const Common& common, const TokenArguments& arguments) {
  const auto target = find_target(common, arguments.cluster);
  if (!target) return fail(common, target.error());
  const auto token = fresh_token(common, target->cluster, arguments);
  if (!token) return fail(common, token.error());
  if (common.json) {
    std::puts(
        boost::json::serialize(boost::json::object{{"token", *token},
                                                   {"endpoint", target->cluster.endpoint},
                                                   {"role", arguments.role},
                                                   {"expires_in_s", arguments.lifetime.count()}})
            .c_str());
  } else {
    std::puts(token->c_str());
  }
  return 0;
}

int run_psql(const Common& common, const PsqlArguments& arguments) {
  const auto target = find_target(common, arguments.cluster);
  if (!target) return fail(common, target.error());
  const auto token = fresh_token(common, target->cluster, {});
  if (!token) return fail(common, token.error());
  const auto set = [](const char* name, const std::string& value) {
    ::setenv(name, value.c_str(), 1);
  };
  set("PGHOST", target->cluster.endpoint);
  set("PGHOSTADDR", target->cluster.host);
  set("PGPORT", std::to_string(target->cluster.port));
  set("PGUSER", "admin");
  set("PGDATABASE", "postgres");
  set("PGPASSWORD", *token);
  set("PGSSLMODE", "verify-full");
  set("PGSSLROOTCERT", target->info.ca_file);
  std::vector<std::string> words = {"psql"};
  if (common.json) {
    return fail(common, {base::Code::kInvalidArgument, "psql has no JSON of its own",
                         "zorya psql -- -c \"SELECT json_agg(t) FROM t\""});
  }
  words.insert(words.end(), arguments.more.begin(), arguments.more.end());
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execvp("psql", argv.data());
  base::Error error = base::errno_error("start psql", errno);
  if (errno == ENOENT) error.hint = "apt install postgresql-client-15";
  return fail(common, error);
}

int run_hosts(const Common& common, const HostsArguments&) {
  const auto info = find_instance(common.data_folder);
  if (!info) return fail(common, info.error());
  if (!common.json) {
    std::fputs(hosts_lines(*info).c_str(), stdout);
    return 0;
  }
  boost::json::array list;
  for (const ReachableCluster& cluster : info->dsql) {
    list.push_back(boost::json::object{{"host", cluster.host}, {"name", cluster.endpoint}});
  }
  std::puts(boost::json::serialize(list).c_str());
  return 0;
}

}  // namespace zorya::cli
