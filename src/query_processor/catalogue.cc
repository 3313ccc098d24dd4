#include "query_processor/catalogue.h"

#include "query_processor/catalogue_history.h"
#include "query_processor/errors.h"
#include "query_processor/gate/router_notices.h"
#include "query_processor/session.h"
#include "query_processor/settings.h"
#include "query_processor/shared_memory.h"
#include "query_processor/wanted_relations.h"

#include <atomic>

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/sinval.h"
#include "tcop/pquery.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace zorya::query_processor {
namespace {

// Layout 1. The version is read by anybody at any time and written under the lock, as the history
// is read and written.
struct SharedCatalogue {
  std::atomic<CatalogueVersion> version;
  CatalogueVersion began_at;  // of what changed before this start of the server nothing is known
  CatalogueHistory history;
};

SharedCatalogue* shared = nullptr;
LWLock* history_lock = nullptr;

/// What this session knows. Could be handed over to another backend as it is.
struct SessionCatalogue {
  CatalogueVersion seen = 0;  // 0: it has not looked yet
  UsedRelations used;
  CatalogueVersion reported = 0;  // to the session router
  bool uses_unknown = false;      // it had another backend, whose uses went with it
  bool told = false;
};
SessionCatalogue session;

/// What the running transaction adds.
struct TransactionCatalogue {
  CatalogueVersion seen_before = 0;  // at its start: nothing up to here is newer than its snapshot
  CatalogueVersion seen_by_statement = 0;  // when the client's statement began; 0: there was none
  bool has_looked = false;
  bool changes = false;
  SchemaChangeKind kind = SchemaChangeKind::kOfRelations;
  RelationId* changed = nullptr;  // set before COMMIT, in the top transaction's memory
  int changed_count = 0;
};
TransactionCatalogue transaction;
bool query_of_utility = false;

/// Versions of an earlier start are lower: there is less than one schema change in a microsecond.
CatalogueVersion first_version() {
  const TimestampTz now_us = GetCurrentTimestamp();
  return now_us > 0 ? static_cast<CatalogueVersion>(now_us) : 1;
}

void attach(void* memory, bool is_new) {
  shared = static_cast<SharedCatalogue*>(memory);
  if (!is_new) return;
  const CatalogueVersion version = first_version();
  new (&shared->version) std::atomic<CatalogueVersion>(version);
  shared->began_at = version;
  shared->history.begin_at(version);
}

CatalogueVersion current_version() { return shared->version.load(std::memory_order_acquire); }

// ------------------------------------------------------------------ looking

/// PostgreSQL's own catalogue is not changed by schema changes.
bool is_users(Oid relation) { return relation >= FirstNormalObjectId; }

void remember_use(const List* relations) {
  const ListCell* cell;
  foreach (cell, relations) {
    if (is_users(lfirst_oid(cell))) session.used.add(lfirst_oid(cell));
  }
}

/// The last change that touches the session.
CatalogueVersion last_change_of_use() {
  LWLockAcquire(history_lock, LW_SHARED);
  // A version above the current one is of another start of the server.
  const bool is_known = session.seen <= current_version();
  CatalogueVersion last = is_known ? session.used.last_change(shared->history) : PG_UINT64_MAX;
  if (session.uses_unknown) last = std::max(last, shared->history.last_change());
  LWLockRelease(history_lock);
  return last;
}

void report_seen() {
  if (session.reported == session.seen) return;
  session.reported = session.seen;
  gate::report_catalogue_seen(session.seen);
}

/// Looks at what is new. True if the session must be told; it has seen it from then on.
bool has_missed_change(CatalogueVersion now) {
  const CatalogueVersion seen = session.seen;
  const bool told = session.told;
  session.told = false;
  if (seen == 0 || seen == now) {
    session.seen = now;
    return false;
  }
  const bool missed = !told && last_change_of_use() > seen;
  session.seen = now;
  session.uses_unknown = false;
  return missed;
}

/// PostgreSQL's catalogue shows what has committed by now, and so a table that is newer than the
/// snapshot, without its rows. To this transaction it is absent.
void forbid_newer_relations(const List* relations) {
  if (!IsolationUsesXactSnapshot()) return;
  const ListCell* cell;
  foreach (cell, relations) {
    const Oid relation = lfirst_oid(cell);
    if (!is_users(relation)) continue;
    LWLockAcquire(history_lock, LW_SHARED);
    const std::uint64_t maker = shared->history.maker(relation);
    LWLockRelease(history_lock);
    // An id that is 2^31 behind is older than every snapshot.
    const std::uint64_t next = U64FromFullTransactionId(ReadNextFullTransactionId());
    if (maker == 0 || next - maker > PG_INT32_MAX) continue;
    const auto id = static_cast<TransactionId>(maker);
    if (!XidInMVCCSnapshot(id, GetTransactionSnapshot())) continue;
    transaction.seen_by_statement = session.seen;  // it is no news
    const char* name = get_rel_name(relation);
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                    errmsg("relation \"%s\" does not exist", name != nullptr ? name : "?")));
  }
}

/// What the statement that runs had seen when it began; between statements, what the session has.
CatalogueVersion seen_by_statement() {
  const bool runs = ActivePortal != nullptr && transaction.seen_by_statement != 0;
  return runs ? transaction.seen_by_statement : session.seen;
}

void refuse_wanted_relations(const List* relations) {
  if (likely(!is_wanted_by_other(relations))) return;
  note_told_of_change();
  raise_schema_changed();
}

void refuse_changed_relations(const List* relations, CatalogueVersion seen) {
  if (seen == 0 || seen > current_version()) return;
  bool is_changed = false;
  const ListCell* cell;
  LWLockAcquire(history_lock, LW_SHARED);
  foreach (cell, relations)
    is_changed = is_changed || shared->history.changed(lfirst_oid(cell)) > seen;
  LWLockRelease(history_lock);
  if (!is_changed) return;
  session.seen = current_version();
  raise_schema_changed();
}

/// A function's statement. Its caller was looked at without what it uses, so it is told what has
/// changed since the caller began. What foreign keys and schema changes run is PostgreSQL's own.
void check_nested(const List* relations) {
  if (relations == NIL || transaction.changes || InNoForceRLSOperation()) return;
  remember_use(relations);
  refuse_wanted_relations(relations);
  if (likely(current_version() == transaction.seen_before)) return;
  refuse_changed_relations(relations, seen_by_statement());
  forbid_newer_relations(relations);
}

bool is_top_level(const PlannedStmt* plan) {
  if (query_of_utility) return true;
  if (ActivePortal == nullptr || ActivePortal->stmts == NIL) return false;
  return linitial(ActivePortal->stmts) == plan || list_member_ptr(ActivePortal->stmts, plan);
}

// ------------------------------------------------------------------ changing

/// True if the relation that an invalidation names is a change to others.
bool is_change(Oid id) {
  Relation relation = RelationIdGetRelation(id);
  if (relation == nullptr) return true;  // dropped
  const char kind = relation->rd_rel->relkind;
  RelationClose(relation);
  return kind == RELKIND_RELATION || kind == RELKIND_VIEW;
}

bool is_new(Oid id) {
  Relation relation = RelationIdGetRelation(id);
  if (relation == nullptr) return false;
  const bool is_made_here = relation->rd_createSubid != InvalidSubTransactionId;
  RelationClose(relation);
  return is_made_here;
}

/// Creations are known before they can be seen. The version moves too, so that whoever has a
/// snapshot by now looks closer.
void publish_creation(Oid relation) {
  const std::uint64_t maker = U64FromFullTransactionId(GetTopFullTransactionId());
  LWLockAcquire(history_lock, LW_EXCLUSIVE);
  const CatalogueVersion before = current_version();
  shared->history.note_creation(relation, maker, before + 1);
  shared->version.store(before + 1, std::memory_order_release);
  LWLockRelease(history_lock);
  if (session.seen == before) session.seen = before + 1;
}

/// Before COMMIT: which relations this transaction changes, by the invalidations that PostgreSQL
/// will send. What can fail, or allocates, is done here.
void collect_changes() {
  if (!transaction.changes) return;
  SharedInvalidationMessage* messages = nullptr;
  bool init_file = false;
  const int count = xactGetCommittedInvalidationMessages(&messages, &init_file);
  transaction.changed = static_cast<RelationId*>(MemoryContextAlloc(
      TopTransactionContext, sizeof(RelationId) * static_cast<std::size_t>(count + 1)));
  for (int i = 0; i < count; ++i) {
    if (messages[i].id != SHAREDINVALRELCACHE_ID || !is_users(messages[i].rc.relId)) continue;
    const Oid relation = messages[i].rc.relId;
    RelationId* end = transaction.changed + transaction.changed_count;
    if (std::find(transaction.changed, end, relation) != end) continue;
    if (is_new(relation)) {
      publish_creation(relation);
    } else if (is_change(relation)) {
      *end = relation;
      ++transaction.changed_count;
    }
  }
  if (transaction.kind == SchemaChangeKind::kOfIndexes && !settings().index_changes_conflict)
    transaction.changed_count = 0;
}

/// The commit is visible, and the lane still held.
void publish_changes() {
  const bool for_all = transaction.changes && transaction.kind == SchemaChangeKind::kForAll;
  if (transaction.changed_count == 0 && !for_all) return;
  LWLockAcquire(history_lock, LW_EXCLUSIVE);
  const CatalogueVersion before = current_version();
  for (int i = 0; i < transaction.changed_count; ++i)
    shared->history.note_change(transaction.changed[i], before + 1);
  if (for_all) shared->history.note_change_for_all(before + 1);
  shared->version.store(before + 1, std::memory_order_release);
  LWLockRelease(history_lock);
  if (session.seen == before) session.seen = before + 1;
}

void on_transaction(XactEvent event, void* /*argument*/) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
      collect_changes();
      return;
    case XACT_EVENT_COMMIT:
      publish_changes();
      if (transaction.changes) report_seen();  // one's own change is no news
      [[fallthrough]];
    case XACT_EVENT_ABORT:
      transaction = {};
      transaction.seen_before = session.seen;
      query_of_utility = false;
      return;
    default:
      return;
  }
}

}  // namespace

void install_catalogue() {
  share_memory({.name = "zorya catalogue",
                .size_bytes = sizeof(SharedCatalogue),
                .attach = attach,
                .lock_name = "zorya_catalogue",
                .lock = &history_lock});
  RegisterXactCallback(on_transaction, nullptr);
}

void check_catalogue(const QueryDesc* query) {
  if (!is_top_level(query->plannedstmt)) return check_nested(query->plannedstmt->relationOids);
  query_of_utility = false;
  check_catalogue_for(query->plannedstmt->relationOids);
}

void check_catalogue_for(const List* relations) {
  transaction.has_looked = true;
  remember_use(relations);
  refuse_wanted_relations(relations);
  const CatalogueVersion now = current_version();
  transaction.seen_by_statement = session.told || session.seen == 0 ? now : session.seen;
  const bool is_news = now != session.seen || now != transaction.seen_before || session.told;
  if (likely(!is_news && session.reported == now)) return;
  if (is_news && has_missed_change(now)) raise_schema_changed();
  report_seen();
  if (is_news) forbid_newer_relations(relations);
}

void expect_query_of_utility() {
  query_of_utility = true;
  transaction.seen_by_statement = session.seen;
}

void check_catalogue_at_commit() {
  if (!transaction.has_looked || current_version() == session.seen) return;
  if (has_missed_change(current_version())) raise_schema_changed();
}

adjudicator::CatalogueUse take_catalogue_use() {
  const CatalogueVersion now = current_version();
  adjudicator::CatalogueUse use{.seen = session.seen, .changed = 0};
  if (now == session.seen || !is_client_session()) return use;
  if (has_missed_change(now)) use.changed = now;
  return use;
}

void take_over_session(CatalogueVersion seen) {
  session.reported = 0;
  if (seen < shared->began_at) return;
  session.seen = std::min(seen, current_version());
  session.uses_unknown = true;
  session.told = false;
}

void note_told_of_change() { session.told = true; }

void note_not_told_of_change() { session.told = false; }

bool is_error_of_stale_catalogue() {
  if (session.seen == 0) return false;
  LWLockAcquire(history_lock, LW_SHARED);
  const bool is_stale = shared->history.last_change() > seen_by_statement();
  LWLockRelease(history_lock);
  const bool is_news = is_stale && !session.told;
  if (is_stale) session.seen = current_version();
  session.told = false;
  return is_news;
}

void note_schema_change(SchemaChangeKind kind) {
  transaction.changes = true;
  transaction.kind = kind;
}

CatalogueVersion last_change_for_all() {
  LWLockAcquire(history_lock, LW_SHARED);
  const CatalogueVersion last = shared->history.changed_for_all();
  LWLockRelease(history_lock);
  return last;
}

}  // namespace zorya::query_processor
