// zorya_verdict_simulation [--seeds N] [--first-seed N] [--steps N] [--workload NAME] [--blind]
//                          [--plant FAULT] [--prove]
//
// Runs the adjudicator in a simulated server, each seed its own, and compares every verdict with an
// oracle that keeps the whole history; the data of each workload must hold together besides.
//   --blind   without the oracle: the data alone must tell
//   --plant   switches a fault of the adjudicator on
//   --prove   every fault in turn must be found with every seed, and none without
// Exit 1 and a line per seed that fails, with the command that repeats it.

#include "adjudicator/plant.h"

#include "world.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>

namespace zorya::simulation {
namespace {

using adjudicator::Fault;

struct NamedFault {
  Fault fault;
  const char* name;
  bool breaks_data;  // the workloads' data tell it too with every seed, without the oracle
};
constexpr NamedFault kFaults[] = {
    {Fault::kSkipWriteKey, "skip-write-key", true},
    {Fault::kSkipMark, "skip-mark", true},
    {Fault::kOneOrderOnly, "one-order-only", true},
    {Fault::kForgetSharer, "forget-sharer", false},
    {Fault::kSweepTooEarly, "sweep-too-early", false},
    {Fault::kIgnoreWholeCommits, "ignore-whole-commits", false},
    {Fault::kHashWithoutEquality, "hash-without-equality", false},
    {Fault::kForgetKeyUpdate, "forget-key-update", false},
    {Fault::kLosersAreRemembered, "losers-are-remembered", true},
    {Fault::kIgnoreCatalogue, "ignore-catalogue", false},
};

struct Arguments {
  Options options;
  std::uint64_t first_seed = 1;
  std::uint64_t seed_count = 40;
  const NamedFault* fault = nullptr;
  bool prove = false;
  bool blind = false;
  std::string program;
};

const NamedFault* fault_named(const char* name) {
  for (const NamedFault& one : kFaults) {
    if (std::strcmp(one.name, name) == 0) return &one;
  }
  return nullptr;
}

bool parse(int argc, char** argv, Arguments* out) {
  out->program = argv[0];
  for (int n = 1; n < argc; ++n) {
    const std::string option = argv[n];
    if (option == "--blind" || option == "--prove") {
      (option == "--prove" ? out->prove : out->blind) = true;
      continue;
    }
    if (n + 1 == argc) return false;
    if (option == "--seeds") {
      out->seed_count = std::strtoull(argv[++n], nullptr, 10);
    } else if (option == "--first-seed") {
      out->first_seed = std::strtoull(argv[++n], nullptr, 10);
    } else if (option == "--steps") {
      out->options.steps = std::atoi(argv[++n]);
    } else if (option == "--workload") {
      out->options.workload = argv[++n];
    } else if (option == "--plant") {
      out->fault = fault_named(argv[++n]);
      if (out->fault == nullptr) return false;
    } else {
      return false;
    }
  }
  out->options.with_oracle = !out->blind;
  return out->seed_count > 0 && out->options.steps > 0 &&
         !make_workloads(out->options.workload).empty();
}

std::string command(const Arguments& arguments, std::uint64_t seed) {
  std::string text = arguments.program + " --first-seed " + std::to_string(seed) +
                     " --seeds 1 --steps " + std::to_string(arguments.options.steps);
  if (!arguments.options.workload.empty()) text += " --workload " + arguments.options.workload;
  if (!arguments.options.with_oracle) text += " --blind";
  if (arguments.fault != nullptr) text += std::string(" --plant ") + arguments.fault->name;
  return text;
}

/// Runs one seed; what went wrong.
std::string run_seed(const Arguments& arguments, std::uint64_t seed, Tally* tally) {
  adjudicator::planted_fault = arguments.fault == nullptr ? Fault::kNone : arguments.fault->fault;
  Options options = arguments.options;
  options.seed = seed;
  World world(options);
  std::string failure = world.run();
  tally->add(world.tally());
  return failure;
}

void print(const char* what, std::uint64_t count) {
  std::printf("  %-44s %12llu\n", what, static_cast<unsigned long long>(count));
}

/// Prints what was run through. False if something that matters never happened.
bool report(const Tally& tally) {
  const auto& decisions = tally.decisions;
  const std::uint64_t figures[] = {decisions.committed,
                                   decisions.whole_conflicts,
                                   decisions.schema_changed,
                                   decisions.commits_remembered_whole,
                                   decisions.keys_swept,
                                   decisions.compactions,
                                   tally.parts,
                                   tally.lost_after_verdict,
                                   tally.restarts,
                                   tally.late_snapshots};
  const char* const names[] = {"records passed",
                               "refused: a commit known only as a whole",
                               "refused: schema changed",
                               "commits remembered as a whole",
                               "keys swept",
                               "compactions",
                               "decided in parts",
                               "ended without a commit after the verdict",
                               "restarts",
                               "snapshots taken after the own commit id"};
  bool all = true;
  for (std::size_t n = 0; n < std::size(figures); ++n) {
    print(names[n], figures[n]);
    all = all && figures[n] > 0;
  }
  print("refused needlessly (whole commits)", tally.needless);
  const char* const classes[] = {"key share", "share", "non-key update", "update"};
  for (int theirs = 0; theirs < adjudicator::kLockClassCount; ++theirs) {
    for (int ours = 0; ours < adjudicator::kLockClassCount; ++ours) {
      const std::uint64_t count = decisions.key_conflicts[theirs][ours];
      if (count == 0) continue;
      print((std::string("refused: ") + classes[ours] + " after " + classes[theirs]).c_str(),
            count);
    }
  }
  // The published table has ten pairs of 16.
  int pairs = 0;
  for (const auto& row : decisions.key_conflicts) {
    for (const std::uint64_t count : row) pairs += count > 0 ? 1 : 0;
  }
  return all && pairs == 10;
}

int run_all(const Arguments& arguments) {
  Tally tally;
  int failed = 0;
  for (std::uint64_t n = 0; n < arguments.seed_count; ++n) {
    const std::uint64_t seed = arguments.first_seed + n;
    const std::string failure = run_seed(arguments, seed, &tally);
    if (failure.empty()) continue;
    ++failed;
    std::printf("seed %llu: %s\n  again: %s\n", static_cast<unsigned long long>(seed),
                failure.c_str(), command(arguments, seed).c_str());
  }
  const bool all_happened = report(tally);
  std::printf("%d of %llu seeds failed\n", failed,
              static_cast<unsigned long long>(arguments.seed_count));
  // A single seed or workload need not see everything.
  const bool must_see_all = arguments.seed_count >= 20 && arguments.options.workload.empty();
  if (must_see_all && !all_happened) std::printf("something that matters never happened\n");
  return failed > 0 || (must_see_all && !all_happened) ? 1 : 0;
}

/// How many of the seeds find the fault.
std::uint64_t found_with(Arguments arguments, const NamedFault& fault, bool with_oracle) {
  arguments.fault = &fault;
  arguments.options.with_oracle = with_oracle;
  Tally tally;
  std::uint64_t found = 0;
  for (std::uint64_t n = 0; n < arguments.seed_count; ++n) {
    const std::uint64_t seed = arguments.first_seed + n;
    if (!run_seed(arguments, seed, &tally).empty()) {
      ++found;
    } else {
      std::printf("not found: %s\n", command(arguments, seed).c_str());
    }
  }
  return found;
}

int prove(const Arguments& arguments) {
  const std::uint64_t all = arguments.seed_count;
  bool proven = true;
  for (const NamedFault& fault : kFaults) {
    const std::uint64_t by_oracle = found_with(arguments, fault, /*with_oracle=*/true);
    std::printf("%-24s found with %llu of %llu seeds", fault.name,
                static_cast<unsigned long long>(by_oracle), static_cast<unsigned long long>(all));
    proven = proven && by_oracle == all;
    if (fault.breaks_data) {
      const std::uint64_t by_data = found_with(arguments, fault, /*with_oracle=*/false);
      std::printf("; by the data alone with %llu", static_cast<unsigned long long>(by_data));
      proven = proven && by_data == all;
    }
    std::printf("\n");
  }
  return proven ? 0 : 1;
}

}  // namespace
}  // namespace zorya::simulation

int main(int argc, char** argv) {
  zorya::simulation::Arguments arguments;
  if (!zorya::simulation::parse(argc, argv, &arguments)) {
    std::fprintf(stderr,
                 "usage: %s [--seeds N] [--first-seed N] [--steps N] [--workload NAME] [--blind] "
                 "[--plant FAULT] [--prove]\n",
                 argv[0]);
    return 2;
  }
  return arguments.prove ? zorya::simulation::prove(arguments)
                         : zorya::simulation::run_all(arguments);
}
