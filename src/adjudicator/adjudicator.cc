#include "adjudicator/adjudicator.h"

#include "adjudicator/plant.h"

#include <algorithm>

namespace zorya::adjudicator {
namespace {

bool is_mark(LockClass c) { return c == LockClass::kKeyShare || c == LockClass::kShare; }

/// What a faulty adjudicator overlooks: the last written key of a record, or every mark.
bool overlooked(const KeyChange& change, const WriteRecord& record) {
  if (planted(Fault::kSkipMark)) return is_mark(change.lock_class);
  if (!planted(Fault::kSkipWriteKey)) return false;
  const auto last = std::find_if(record.changes.rbegin(), record.changes.rend(),
                                 [](const KeyChange& c) { return !is_mark(c.lock_class); });
  return last != record.changes.rend() && &change == &*last;
}

Decision judge(const WriteRecord& record, const RecentKeys& recent) {
  if (record.catalogue.changed > record.catalogue.seen && !planted(Fault::kIgnoreCatalogue)) {
    return {.verdict = Verdict::kSchemaChanged};
  }
  if (recent.conflicts_as_a_whole(record.snapshot, record.commit_id)) {
    return {.verdict = Verdict::kConflict, .as_a_whole = true};
  }
  for (const KeyChange& change : record.changes) {
    if (overlooked(change, record)) continue;
    const auto theirs = recent.conflicting_class(change, record.snapshot, record.commit_id);
    if (theirs) return {.verdict = Verdict::kConflict, .ours = change, .theirs = *theirs};
  }
  return {};
}

void remember(const WriteRecord& record, RecentKeys& recent) {
  if (!recent.make_room(record.changes.size())) {
    return recent.remember_as_a_whole(record.commit_id);
  }
  for (const KeyChange& change : record.changes) {
    if (!overlooked(change, record)) recent.remember(change, record.snapshot, record.commit_id);
  }
}

}  // namespace

Decision decide(const WriteRecord& record, RecentKeys& recent) noexcept {
  if (record.changes.empty()) return {};
  Decision decision = judge(record, recent);
  if (decision.verdict == Verdict::kCommitted || planted(Fault::kLosersAreRemembered)) {
    remember(record, recent);
  }
  recent.count(decision);
  return decision;
}

}  // namespace zorya::adjudicator
