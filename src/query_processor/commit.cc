#include "query_processor/commit.h"

#include "query_processor/backend.h"
#include "query_processor/catalogue.h"
#include "query_processor/commit_ids.h"
#include "query_processor/commit_stats.h"
#include "query_processor/errors.h"
#include "query_processor/forced_outcomes.h"
#include "query_processor/identity.h"
#include "query_processor/limits.h"
#include "query_processor/page_delete.h"
#include "query_processor/pg/boundary.h"
#include "query_processor/pg/version.h"
#include "query_processor/plant.h"
#include "query_processor/shared_state.h"
#include "query_processor/table_am.h"

extern "C" {
#include "access/table.h"
#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace zorya::query_processor {
namespace {

/// Of the COMMIT that runs. One backend, one thread.
CommitClock commit_clock;

// ------------------------------------------------------------------ the verdict

/// Says at which table, and how the transaction used the key.
void count_conflict_of(const adjudicator::Decision& decision) {
  if (decision.as_a_whole) return count_conflict(InvalidOid, ConflictKind::kWhole);
  ConflictKind kind = ConflictKind::kMark;
  if (decision.ours.lock_class == adjudicator::LockClass::kUpdate) kind = ConflictKind::kKey;
  if (decision.ours.lock_class == adjudicator::LockClass::kNoKeyUpdate) kind = ConflictKind::kRow;
  count_conflict(decision.ours.table, kind);
}

void claim_keys() {
  adjudicator::WriteRecord record;
  record.commit_id = own_commit_id();
  record.snapshot = transaction_snapshot();
  record.catalogue = take_catalogue_use();
  record.changes = pg::enter([]() -> pg::Result<std::span<const adjudicator::KeyChange>> {
    return backend->write_set.keys_to_adjudicate();
  });
  if (planted("skip_write_keys")) {
    record.changes =
        record.changes.first(record.changes.size() - backend->write_set.entries_to_apply().size());
  }
  const adjudicator::Decision decision = adjudicate(record);
  switch (decision.verdict) {
    case adjudicator::Verdict::kCommitted:
      ++counters().committed;
      return;
    case adjudicator::Verdict::kConflict:
      ++counters().conflicts;
      count_conflict_of(decision);
      break;
    case adjudicator::Verdict::kSchemaChanged:
      ++counters().schema_changed;
      raise_schema_changed();
  }
  raise_conflict();
}

// ------------------------------------------------------------------ the apply

/// The table that is being written, and what its index entries need. Plain data.
struct OpenTable {
  Relation relation = nullptr;
  EState* state = nullptr;
  ResultRelInfo* indexes = nullptr;
  TupleTableSlot* slot = nullptr;
};

void close_indexes(OpenTable* table) {
  if (table->indexes == nullptr) return;
  ExecCloseIndices(table->indexes);
  ExecDropSingleTupleTableSlot(table->slot);
  FreeExecutorState(table->state);
  table->indexes = nullptr;
}

void close_table_of(OpenTable* table) {
  if (table->relation == nullptr) return;
  close_indexes(table);
  table_close(table->relation, NoLock);
  table->relation = nullptr;
}

/// Opened now, with the indexes that it has now; the statement's lock on it is still held.
void open_table_of(OpenTable* table, Oid relation) {
  if (table->relation != nullptr && RelationGetRelid(table->relation) == relation) return;
  close_table_of(table);
  table->relation = table_open(relation, NoLock);
}

void open_indexes(OpenTable* table) {
  if (table->indexes != nullptr) return;
  table->state = CreateExecutorState();
  table->indexes = makeNode(ResultRelInfo);
  InitResultRelInfo(table->indexes, table->relation, 0, nullptr, 0);
  ExecOpenIndices(table->indexes, false);
  table->slot = MakeSingleTupleTableSlot(RelationGetDescr(table->relation), &TTSOpsHeapTuple);
}

void enter_into_indexes(OpenTable* table, HeapTuple tuple) {
  open_indexes(table);
  if (table->indexes->ri_NumIndices == 0) return;
  ExecStoreHeapTuple(tuple, table->slot, false);
  table->slot->tts_tid = tuple->t_self;
  table->slot->tts_tableOid = RelationGetRelid(table->relation);
  list_free(pg::insert_index_entries(table->indexes, table->slot, table->state));
  ResetPerTupleExprContext(table->state);
}

/// The heap is the second guard: it must agree with the verdict.
void heap_disagrees(const Entry& entry, TM_Result result) {
  ++counters().apply_failures;
  count_conflict(entry.relation, ConflictKind::kHeap);
  backend->applying = false;
  ereport(LOG,
          (errmsg("the heap disagreed with the adjudicator: result %d on table %u, row (%u,%u)",
                  static_cast<int>(result), entry.relation, entry.base.block, entry.base.offset)));
  raise_conflict();
}

void note_applied(Entry* entry, RowId place, CommandId command) {
  entry->applied_row = place;
  entry->applied_in = GetCurrentSubTransactionId();
  entry->applied_by = command;
}

void apply_delete(Relation relation, Entry* entry, CommandId command) {
  ItemPointerData tid = item_pointer(entry->base);
  TM_FailureData failure;
  const TM_Result result =
      pg::delete_row(relation, &tid, command, entry->newest->left_partition, &failure);
  if (result != TM_Ok) heap_disagrees(*entry, result);
  note_applied(entry, entry->base, command);
  ++counters().rows_deleted;
}

void apply_update(OpenTable* table, Entry* entry, CommandId command, bool early) {
  // After an early apply the version may be needed once more: a rollback of the subtransaction
  // revives it.
  auto* tuple = static_cast<HeapTuple>(entry->newest->tuple);
  if (early) tuple = heap_copytuple(tuple);
  ItemPointerData tid = item_pointer(entry->base);
  TM_FailureData failure;
  const TM_Result result = pg::update_row(table->relation, &tid, tuple, command, &failure);
  if (result != TM_Ok) heap_disagrees(*entry, result);
  note_applied(entry, row_id(&tuple->t_self), command);
  if (HeapTupleIsHeapOnly(tuple)) {
    ++counters().rows_updated_hot;
  } else {
    ++counters().rows_updated;
    enter_into_indexes(table, tuple);
  }
}

/// Those at the front that are deleted on the page of `first`.
std::span<Entry* const> deletes_beside(const Entry& first, std::span<Entry* const> entries) {
  const auto other = std::find_if(entries.begin(), entries.end(), [&](const Entry* entry) {
    return entry->relation != first.relation || entry->base.block != first.base.block ||
           entry->newest->tuple != nullptr || entry->newest->left_partition;
  });
  return entries.first(static_cast<std::size_t>(other - entries.begin()));
}

/// Writes the first entry, and after a delete also those on the same page. Returns how many.
std::size_t apply_next(OpenTable* table, std::span<Entry* const> entries, CommandId command,
                       bool early) {
  Entry* first = entries.front();
  open_table_of(table, first->relation);
  if (first->newest->tuple != nullptr) {
    apply_update(table, first, command, early);
    return 1;
  }
  apply_delete(table->relation, first, command);
  const auto beside = deletes_beside(*first, entries.subspan(1));
  const std::size_t count = delete_on_page(table->relation, beside, command);
  for (Entry* entry : beside.first(count)) note_applied(entry, entry->base, command);
  counters().rows_deleted += count;
  return 1 + count;
}

void apply(bool early) {
  const auto entries = pg::enter([]() -> pg::Result<std::span<Entry* const>> {
    return backend->write_set.entries_to_apply();
  });
  if (entries.empty()) return;
  backend->applying = true;
  // TOAST and index expressions need one.
  PushActiveSnapshot(GetTransactionSnapshot());
  const CommandId command = GetCurrentCommandId(true);
  OpenTable table;
  for (std::size_t done = 0; done < entries.size();) {
    done += apply_next(&table, entries.subspan(done), command, early);
    stop_point("stop_within_apply");
  }
  close_table_of(&table);
  PopActiveSnapshot();
  backend->applying = false;
  if (early) CommandCounterIncrement();
}

// ------------------------------------------------------------------ the ends of transactions

void forget_everything() {
  backend->write_set.clear();
  scan_through_write_set(false);
  backend->memory = nullptr;  // went with the transaction
  backend->applying = false;
  backend->building = 0;
  backend->checks_keys_later = false;
  forget_forced();
  release_retired_keys();
}

void on_transaction(XactEvent event, void*) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
      if (backend->write_set.nothing_to_commit()) return;
      check_age_at_commit();
      stop_point("stop_before_verdict");
      come_to(CommitPoint::kBeforeVerdict);
      commit_clock.begin();
      claim_keys();
      commit_clock.ended(CommitPart::kVerdict);
      stop_point("stop_after_verdict");
      come_to(CommitPoint::kAfterVerdict);
      apply(/*early=*/false);
      commit_clock.ended(CommitPart::kApply);
      come_to(CommitPoint::kAfterApply);
      stop_point("stop_after_apply");
      return;
    case XACT_EVENT_PRE_PREPARE:
      // The keys of a prepared transaction would be forgotten by a restart.
      ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                      errmsg("unsupported transaction statement: PREPARE TRANSACTION")));
      return;
    case XACT_EVENT_COMMIT:
      if (!backend->write_set.nothing_to_commit()) {
        commit_clock.ended(CommitPart::kFlush);
        come_to(CommitPoint::kAfterFlush);
        stop_point("stop_after_commit");
      }
      forget_everything();
      return;
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_PARALLEL_ABORT:
      forget_everything();
      return;
    default:
      return;
  }
}

void on_subtransaction(SubXactEvent event, SubTransactionId number, SubTransactionId, void*) {
  if (event == SUBXACT_EVENT_START_SUB) {
    pg::enter([&]() -> pg::Result<void> {
      backend->write_set.start_subtransaction(number);
      return {};
    });
  } else if (event == SUBXACT_EVENT_ABORT_SUB) {
    backend->applying = false;
    backend->write_set.abort_subtransaction(number);
  }
}

}  // namespace

void install_commit() {
  RegisterXactCallback(on_transaction, nullptr);
  RegisterSubXactCallback(on_subtransaction, nullptr);
}

void apply_early() {
  if (!backend->write_set.has_versions()) return;
  check_isolation_level();
  claim_keys();
  apply(/*early=*/true);
}

}  // namespace zorya::query_processor
