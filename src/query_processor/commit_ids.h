#pragma once

#include "adjudicator/write_record.h"

namespace zorya::query_processor {

/// PostgreSQL's transaction ids and snapshots as the adjudicator's commit ids and snapshots: its
/// full (64-bit) transaction ids, and what of its own snapshot concerns top-level transactions.
/// Exact: an id is given out before the commit, and a snapshot that does not see a transaction says
/// so.

/// The id under which this transaction would commit; takes one if there is none.
adjudicator::CommitId own_commit_id();

/// The transaction's snapshot. Borrowed until the next call.
adjudicator::Snapshot transaction_snapshot();

/// Every snapshot, live or to come, sees all commits below it.
adjudicator::CommitId oldest_needed_commit_id();

}  // namespace zorya::query_processor
