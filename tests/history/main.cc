// Runs concurrent clients and checks what they saw for snapshot isolation. JSON on stdout; exit 1
// if something is found.
#include "checker.h"
#include "load.h"
#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include <cstdio>

namespace {

using namespace zorya;

int fail(const base::Error& error) {
  fmt::print(stderr, "history: {}\n", base::to_string(error));
  return 2;
}

int tell(const history::History& history) {
  const history::Findings findings = history::check(history);
  std::uint64_t committed = 0;
  for (const auto& transaction : history.transactions)
    committed += transaction.outcome == history::Outcome::kCommitted ? 1 : 0;
  boost::json::object counts;
  for (const auto& [kind, count] : findings.counts) counts[kind] = count;
  boost::json::array examples;
  for (const auto& example : findings.examples) examples.emplace_back(example);
  const boost::json::object told{{"transactions", history.transactions.size()},
                                 {"committed", committed},
                                 {"lists", history.lists.size()},
                                 {"findings", counts},
                                 {"examples", examples}};
  fmt::print("{}\n", boost::json::serialize(told));
  return findings.none() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("checks histories of concurrent clients for snapshot isolation");
  app.require_subcommand(1);
  history::LoadOptions options;
  std::string file;
  auto* run = app.add_subcommand("run", "runs clients against a server and checks what they saw");
  run->add_option("--connection", options.connection, "libpq's connection string")->required();
  run->add_option("--table", options.table, "an empty table (k bigint primary key, list text)")
      ->required();
  run->add_option("--isolation", options.isolation);
  run->add_option("--clients", options.client_count);
  run->add_option("--transactions", options.transaction_count);
  run->add_option("--seed", options.seed);
  run->add_option("--save", file, "writes the history there");
  auto* again = app.add_subcommand("check", "checks a saved history");
  again->add_option("file", file)->required();
  CLI11_PARSE(app, argc, argv);

  if (*again) {
    auto loaded = history::load(file);
    return loaded ? tell(*loaded) : fail(loaded.error());
  }
  auto done = history::run_load(options);
  if (!done) return fail(done.error());
  if (!file.empty()) {
    if (auto saved = history::save(*done, file); !saved) return fail(saved.error());
  }
  return tell(*done);
}
