#pragma once

#include "adjudicator/adjudicator.h"
#include "query_processor/wounds.h"

#include <array>
#include <atomic>
#include <cstdint>

namespace zorya::query_processor {

/// Counters of a server, since its start. Any backend adds.
struct CommitCounters {
  std::atomic<std::uint64_t> committed;         // write sets that the adjudicator let pass
  std::atomic<std::uint64_t> conflicts;         // and those it refused
  std::atomic<std::uint64_t> schema_changed;    // refused for a catalogue that is no longer theirs
  std::atomic<std::uint64_t> apply_failures;    // the heap disagreed with the verdict: must stay 0
  std::atomic<std::uint64_t> rows_updated_hot;  // applied without touching an index
  std::atomic<std::uint64_t> rows_updated;      // applied with new index entries
  std::atomic<std::uint64_t> rows_deleted;
  std::atomic<std::uint64_t> schema_reruns;   // schema changes of a block run again at COMMIT
  std::atomic<std::uint64_t> lane_waits;      // schema changes that found the lane taken
  std::atomic<std::uint64_t> waits_at_bound;  // statements whose wait for a lock met its bound
  std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(Wound::kCount)> wounds;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "it is shared between processes");

/// Asks for shared memory and its lock, and lays it out at the start. Once, in the postmaster.
void install_shared_state();

CommitCounters& counters();

/// How often that was done.
inline std::atomic<std::uint64_t>& wounds(Wound wound) {
  return counters().wounds[static_cast<std::size_t>(wound)];
}

/// Decides under the decision lock, and keeps the table of recent keys swept. Any backend, in a
/// transaction; waits only for other verdicts, which take microseconds.
adjudicator::Decision adjudicate(const adjudicator::WriteRecord& record);

/// How full the table of recent keys is, and what was decided over it. A copy; waits as a verdict
/// does.
struct AdjudicatorState {
  adjudicator::RecentKeysFigures recent_keys;
  adjudicator::DecisionCounters decisions;
};
AdjudicatorState adjudicator_state();

}  // namespace zorya::query_processor
