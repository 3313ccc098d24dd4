#include "adjudicator/adjudicator.h"

#include <algorithm>

namespace zorya::adjudicator {

Verdict decide(const WriteRecord& record, RecentKeys& recent) noexcept {
  if (record.changes.empty()) return Verdict::kCommitted;
  if (recent.conflicts_as_a_whole(record.snapshot, record.commit_id)) return Verdict::kConflict;
  const bool conflict =
      std::any_of(record.changes.begin(), record.changes.end(), [&](const KeyChange& change) {
        return recent.conflicts_with(change, record.snapshot, record.commit_id);
      });
  if (conflict) return Verdict::kConflict;
  if (!recent.has_room(record.changes.size())) {
    return recent.remember_whole(record.commit_id) ? Verdict::kCommitted : Verdict::kNoRoom;
  }
  for (const KeyChange& change : record.changes) {
    recent.remember(change, record.snapshot, record.commit_id);
  }
  return Verdict::kCommitted;
}

}  // namespace zorya::adjudicator
