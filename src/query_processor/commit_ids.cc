#include "query_processor/commit_ids.h"

#include "query_processor/pg/boundary.h"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"
}

namespace zorya::query_processor {
namespace {

/// The full id of a transaction that is at most 2^31 away from the next one, as all that a live
/// snapshot names are.
adjudicator::CommitId full_id(TransactionId id, FullTransactionId next) {
  if (!TransactionIdIsNormal(id)) return id;
  const auto behind = static_cast<std::int32_t>(id - XidFromFullTransactionId(next));
  return U64FromFullTransactionId(next) +
         static_cast<std::uint64_t>(static_cast<std::int64_t>(behind));
}

std::vector<adjudicator::CommitId>& running_ids() {
  static std::vector<adjudicator::CommitId> ids;
  return ids;
}

}  // namespace

adjudicator::CommitId own_commit_id() {
  return U64FromFullTransactionId(GetTopFullTransactionId());
}

adjudicator::Snapshot transaction_snapshot() {
  const SnapshotData* snapshot = GetTransactionSnapshot();
  const FullTransactionId next = ReadNextFullTransactionId();
  return pg::enter([&]() -> pg::Result<adjudicator::Snapshot> {
    std::vector<adjudicator::CommitId>& ids = running_ids();
    ids.clear();
    // Subtransactions do not matter: only top-level ids are ever recorded.
    for (std::uint32_t i = 0; i < snapshot->xcnt; ++i)
      ids.push_back(full_id(snapshot->xip[i], next));
    std::sort(ids.begin(), ids.end());
    return adjudicator::Snapshot{full_id(snapshot->xmin, next), full_id(snapshot->xmax, next), ids};
  });
}

adjudicator::CommitId oldest_needed_commit_id() {
  const TransactionId oldest = GetOldestNonRemovableTransactionId(nullptr);
  return full_id(oldest, ReadNextFullTransactionId());
}

}  // namespace zorya::query_processor
