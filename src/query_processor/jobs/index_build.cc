#include "query_processor/jobs/index_build.h"

#include "query_processor/backend.h"
#include "query_processor/catalogue.h"
#include "query_processor/jobs/duplicates.h"
#include "query_processor/jobs/waits.h"
#include "query_processor/pg/subtransaction.h"
#include "query_processor/plant.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/storage.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "parser/parse_utilcmd.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace zorya::query_processor::jobs {
namespace {

/// A table of at most so many pages is filled within the statement: about two milliseconds.
constexpr BlockNumber kSmallTablePages = 32;

struct IndexState {
  bool ready;
  bool valid;
};

IndexState state_of(Oid index) {
  HeapTuple row = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
  if (!HeapTupleIsValid(row)) elog(ERROR, "no index %u", index);
  const auto* form = reinterpret_cast<Form_pg_index>(GETSTRUCT(row));
  const IndexState state{form->indisready, form->indisvalid};
  ReleaseSysCache(row);
  return state;
}

void set_state(Oid table, Oid index, IndexState state) {
  Relation catalogue = table_open(IndexRelationId, RowExclusiveLock);
  HeapTuple row = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(index));
  if (!HeapTupleIsValid(row)) elog(ERROR, "no index %u", index);
  auto* form = reinterpret_cast<Form_pg_index>(GETSTRUCT(row));
  form->indisready = state.ready;
  form->indisvalid = state.valid;
  // Of a fill within the statement. Who could mind has ended before the index becomes valid.
  form->indcheckxmin = false;
  CatalogTupleUpdate(catalogue, &row->t_self, row);
  table_close(catalogue, RowExclusiveLock);
  // Of the table too: plans, and the key spaces of identity.cc.
  CacheInvalidateRelcacheByRelid(table);
}

/// Expressions and predicates are a user's: they run as the table's owner, who can do nothing by
/// them, as in PostgreSQL's own builds.
struct RestrictedUser {
  Oid user;
  int context;
  int settings_level;
};

RestrictedUser become_owner_of(Relation table) {
  RestrictedUser before{};
  GetUserIdAndSecContext(&before.user, &before.context);
  SetUserIdAndSecContext(table->rd_rel->relowner, before.context | SECURITY_RESTRICTED_OPERATION);
  before.settings_level = NewGUCNestLevel();
  return before;
}

void become_again(const RestrictedUser& before) {
  AtEOXact_GUC(false, before.settings_level);
  SetUserIdAndSecContext(before.user, before.context);
}

/// Puts all rows into an index that is not ready, and makes it ready. `concurrent`: writers are at
/// the table, and rows are those of the transaction's snapshot. False: a chain of versions has one
/// place in the index and several keys, so that who reads by an older snapshot must not use it.
bool fill(Oid table_id, Oid index_id, bool concurrent) {
  Relation table = table_open(table_id, concurrent ? ShareUpdateExclusiveLock : ShareLock);
  const RestrictedUser before = become_owner_of(table);
  Relation index = index_open(index_id, RowExclusiveLock);
  // What a fill before us left. Nobody reads or writes a file of an index that is not ready.
  if (RelationGetNumberOfBlocks(index) > 0)
    RelationSetNewRelfilenode(index, index->rd_rel->relpersistence);
  IndexInfo* info = BuildIndexInfo(index);
  info->ii_Concurrent = concurrent;
  info->ii_BrokenHotChain = false;
  info->ii_Unique = false;
  index_build(table, index, info, false, false);
  const bool chains_are_whole = !info->ii_BrokenHotChain;
  become_again(before);
  table_close(table, NoLock);
  index_close(index, NoLock);
  set_state(table_id, index_id, {.ready = true, .valid = false});
  CommandCounterIncrement();
  return chains_are_whole;
}

/// By the active snapshot.
bool has_duplicates(Oid table_id, Oid index_id) {
  Relation table = table_open(table_id, ShareUpdateExclusiveLock);
  Relation index = index_open(index_id, AccessShareLock);
  const bool duplicates = index->rd_index->indisunique && holds_duplicates(table, index);
  index_close(index, NoLock);
  table_close(table, NoLock);
  return duplicates;
}

/// Nobody writes while the statement has its lock: this is CREATE INDEX as ever, and the job finds
/// nothing left to do. But for what is to fail: that is the job's to tell.
void fill_as_statement(Oid table, Oid index) {
  if (!fill(table, index, false)) return;
  PushActiveSnapshot(GetLatestSnapshot());
  if (!has_duplicates(table, index)) set_state(table, index, {.ready = true, .valid = true});
  PopActiveSnapshot();
}

/// A fill that fails (a value too long for a key, an expression that raises) fails the job and not
/// the statement: it is left to the job.
void fill_if_small(Oid table_id, Oid index) {
  Relation table = table_open(table_id, ShareLock);
  const BlockNumber pages = RelationGetNumberOfBlocks(table);
  table_close(table, NoLock);
  if (pages > kSmallTablePages || planted("no_small_fill")) return;
  struct Indexed {
    Oid table;
    Oid index;
  } indexed{table_id, index};
  ErrorData* error = pg::run_in_subtransaction(
      [](void* argument) {
        const auto* what = static_cast<Indexed*>(argument);
        fill_as_statement(what->table, what->index);
      },
      &indexed, pg::Subtransaction::kKept);
  if (error == nullptr) return;
  if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION) ReThrowError(error);
  FreeErrorData(error);
}

// ------------------------------------------------------------------ the job's part

/// Stock PostgreSQL: each statement sees what is committed by then.
void begin() {
  StartTransactionCommand();
  XactIsoLevel = XACT_READ_COMMITTED;
}

void fill_as_job(Oid table, Oid index) {
  begin();
  wait_for_writers(table);
  PushActiveSnapshot(GetTransactionSnapshot());
  stop_point("job_before_fill");
  fill(table, index, true);
  stop_point("job_after_fill");
  PopActiveSnapshot();
  CommitTransactionCommand();
}

void add_missing_rows(Oid table, Oid index) {
  begin();
  wait_for_writers(table);
  stop_point("job_before_complete");
  Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());
  PushActiveSnapshot(snapshot);
  backend->checks_keys_later = !planted("job_checks_at_once");
  validate_index(table, index, snapshot);
  PopActiveSnapshot();
  UnregisterSnapshot(snapshot);
  CommitTransactionCommand();
}

/// Everybody who may have missed a row of the index ends before this returns.
void wait_for_who_saw_less() {
  begin();
  Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());
  const TransactionId xmin = snapshot->xmin;
  UnregisterSnapshot(snapshot);
  CommitTransactionCommand();
  if (planted("job_waits_for_nobody")) return;
  begin();
  wait_for_older_snapshots(xmin);
  CommitTransactionCommand();
}

/// True if the index is valid now.
bool make_valid(Oid table_id, Oid index_id) {
  begin();
  PushActiveSnapshot(GetTransactionSnapshot());
  const bool duplicates = !planted("job_skips_duplicates") && has_duplicates(table_id, index_id);
  PopActiveSnapshot();
  stop_point("job_before_valid");
  note_schema_change(SchemaChangeKind::kOfIndexes);
  if (!duplicates) set_state(table_id, index_id, {.ready = true, .valid = true});
  CommitTransactionCommand();
  return !duplicates;
}

}  // namespace

Oid make_index_entry(IndexStmt* statement, const char* query) {
  const Oid table = RangeVarGetRelidExtended(statement->relation, ShareLock, 0,
                                             RangeVarCallbackOwnsRelation, nullptr);
  statement = transformIndexStmt(table, statement, query);
  const ObjectAddress made = DefineIndex(table, statement, InvalidOid, InvalidOid, InvalidOid,
                                         false, true, true, true /* skip_build */, true);
  CommandCounterIncrement();
  if (!OidIsValid(made.objectId)) return InvalidOid;
  set_state(table, made.objectId, {.ready = false, .valid = false});
  CommandCounterIncrement();
  fill_if_small(table, made.objectId);
  return made.objectId;
}

const char* finish_index(Oid table, Oid index) {
  begin();
  const IndexState state = state_of(index);
  CommitTransactionCommand();
  if (state.valid) return nullptr;
  if (!state.ready) fill_as_job(table, index);
  add_missing_rows(table, index);
  wait_for_who_saw_less();
  return make_valid(table, index) ? nullptr : kDuplicateKeyDetails;
}

void give_back_unfinished_fill(Oid table, Oid index_id) {
  begin();
  // An aborted transaction leaves its file as long as it had made it. Who drops the index has the
  // table's lock; of one that is not ready nobody else looks at the file.
  if (ConditionalLockRelationOid(table, ShareUpdateExclusiveLock) &&
      SearchSysCacheExists1(INDEXRELID, ObjectIdGetDatum(index_id)) && !state_of(index_id).ready) {
    Relation index = index_open(index_id, RowExclusiveLock);
    if (RelationGetNumberOfBlocks(index) > 0) RelationTruncate(index, 0);
    index_close(index, NoLock);
  }
  CommitTransactionCommand();
}

}  // namespace zorya::query_processor::jobs
