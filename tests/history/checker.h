#pragma once

#include "history.h"

#include <map>
#include <string>
#include <vector>

namespace zorya::history {

/// What a history shows that snapshot isolation forbids, with the first few of each kind in words.
struct Findings {
  std::map<std::string, std::uint64_t> counts;  // by kind
  std::vector<std::string> examples;

  [[nodiscard]] bool none() const { return counts.empty(); }
};

/// Checks a history for strong snapshot isolation, first committer wins and no dirty data. The
/// argument is in docs/isolation.md, "Random histories": every acknowledged value is in its list
/// once, every read is a prefix of the list's final order, and no cycle of dependencies is without
/// two adjacent anti-dependencies. It finds what it finds for certain: each finding is a proof that
/// the history is not of a database with snapshot isolation. Time and memory grow linearly.
Findings check(const History& history);

}  // namespace zorya::history
