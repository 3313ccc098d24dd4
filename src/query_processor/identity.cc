#include "query_processor/identity.h"

#include "adjudicator/key_hash.h"
#include "query_processor/errors.h"
#include "query_processor/pg/boundary.h"
#include "query_processor/plant.h"

#include <unordered_map>

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "nodes/nodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace zorya::query_processor {
namespace {

using adjudicator::add;
using adjudicator::KeyHash;
using adjudicator::kHashSeedHigh;
using adjudicator::kHashSeedLow;
using adjudicator::LockClass;

void add_text(KeyHash* hash, const char* text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text);
  const auto length = static_cast<int>(std::strlen(text));
  add(hash, DatumGetUInt64(hash_any_extended(bytes, length, kHashSeedHigh)),
      DatumGetUInt64(hash_any_extended(bytes, length, kHashSeedLow)));
}

/// Adds an expression list or a predicate as the catalogue has it. What the planner makes of it
/// differs between sessions: it puts a function's body in its place, which may have been replaced
/// since. Reading it drops where in its statement each node stood, so that a copy of the index
/// (REINDEX CONCURRENTLY) has the same.
void add_stored_tree(KeyHash* hash, Relation index, AttrNumber attribute) {
  bool is_null = false;
  const Datum stored = SysCacheGetAttr(INDEXRELID, index->rd_indextuple, attribute, &is_null);
  if (is_null) {
    adjudicator::add_null(hash);
    return;
  }
  add_text(hash, nodeToString(stringToNode(TextDatumGetCString(stored))));
}

/// One column of a key, and how the equality image of its values is hashed.
struct KeyColumn {
  AttrNumber attribute;  // 0: an expression
  Oid collation;
  bool is_word;   // the value stands for itself
  bool extended;  // the hash function takes a seed and gives 64 bits
  FmgrInfo hash;
};

/// A unique or exclusion index as the adjudicator sees it. Lives in its table's memory context.
struct KeySpace {
  KeyHash hash;
  bool hashable;  // false: all values of the index count as one key (exclusion, or a type without
                  // hashing)
  bool computed;  // has expressions or a predicate
  bool nulls_equal;
  TransactionId made_by;  // the transaction that made the index entry: keys are known since then
  int column_count;
  KeyColumn columns[INDEX_MAX_KEYS];
  IndexInfo* info;
};

/// The key spaces of one table. Never changed once built; replaced when PostgreSQL says that the
/// table changed.
struct TableKeys {
  MemoryContext memory;
  TableKeys* next_retired;
  int count;
  KeySpace* spaces;
  int identity_count;
  bool has_primary_key;
  KeySpace** identities;  // those that can identify a row, the primary key first
  int reference_count;
  TransactionId* references;  // which transactions made the foreign keys that refer to the table
};

// Of this backend. Retired ones may still be in use by callers up the stack, so they live until the
// transaction ends.
std::unordered_map<Oid, TableKeys*>* cached = nullptr;
struct {
  Oid relation = InvalidOid;
  TableKeys* keys = nullptr;
} last_asked;  // of those cached: a statement asks for one table's row by row
TableKeys* retired = nullptr;
std::uint64_t invalidation_count = 0;

void retire(TableKeys* keys) noexcept {
  keys->next_retired = retired;
  retired = keys;
}

void on_relation_changed(Datum, Oid relation) {
  ++invalidation_count;
  last_asked = {};
  if (cached == nullptr) return;
  if (relation == InvalidOid) {
    for (const auto& [oid, keys] : *cached) retire(keys);
    cached->clear();
    return;
  }
  const auto found = cached->find(relation);
  if (found == cached->end()) return;
  retire(found->second);
  cached->erase(found);
}

// ------------------------------------------------------------------ building

/// True if equal values of a column are the same machine word, as the operator class says it to
/// btree's deduplication: true of integers, not of floats, whose -0.0 is 0.0.
bool is_word(Relation index, int column) {
  if (!TupleDescAttr(RelationGetDescr(index), column)->attbyval) return false;
  const Oid type = index->rd_opcintype[column];
  const Oid says = get_opfamily_proc(index->rd_opfamily[column], type, type, BTEQUALIMAGE_PROC);
  return OidIsValid(says) && DatumGetBool(OidFunctionCall1Coll(says, index->rd_indcollation[column],
                                                               ObjectIdGetDatum(type)));
}

/// Finds how values of an index column are hashed so that equal ones hash alike. False if there is
/// no way.
bool find_hash(Relation index, int column, KeyColumn* out, Oid* equality) {
  *equality = get_opfamily_member(index->rd_opfamily[column], index->rd_opcintype[column],
                                  index->rd_opcintype[column], BTEqualStrategyNumber);
  const Oid type = TupleDescAttr(RelationGetDescr(index), column)->atttypid;
  const TypeCacheEntry* known =
      lookup_type_cache(type, TYPECACHE_EQ_OPR | TYPECACHE_HASH_EXTENDED_PROC);
  if (!OidIsValid(*equality)) return false;
  out->is_word = is_word(index, column);
  if (out->is_word) return true;
  if (planted("hash_without_equality") &&
      TupleDescAttr(RelationGetDescr(index), column)->attlen < 0) {
    out->extended = true;
    fmgr_info_cxt(F_HASHVARLENAEXTENDED, &out->hash, CurrentMemoryContext);
    return true;
  }
  if (known->eq_opr == *equality && OidIsValid(known->hash_extended_proc)) {
    out->extended = true;
    fmgr_info_cxt(known->hash_extended_proc, &out->hash, CurrentMemoryContext);
    return true;
  }
  RegProcedure left = InvalidOid;
  if (IsPolymorphicType(index->rd_opcintype[column]) ||
      !get_op_hash_functions(*equality, &left, nullptr)) {
    return false;
  }
  out->extended = false;
  fmgr_info_cxt(left, &out->hash, CurrentMemoryContext);
  return true;
}

/// The entry's own row changes when a job has filled the index, and when it makes it valid; the row
/// of its first column does not.
TransactionId maker_of(Relation index) {
  HeapTuple row =
      SearchSysCache2(ATTNUM, ObjectIdGetDatum(RelationGetRelid(index)), Int16GetDatum(1));
  if (!HeapTupleIsValid(row)) elog(ERROR, "no columns of index %u", RelationGetRelid(index));
  const TransactionId maker = HeapTupleHeaderGetXmin(row->t_data);
  ReleaseSysCache(row);
  return maker;
}

void build_space(Relation index, KeySpace* space) {
  const Form_pg_index form = index->rd_index;
  space->hash = adjudicator::kEmptyKey;
  space->hashable = form->indisunique;
  space->nulls_equal = form->indnullsnotdistinct;
  space->made_by = maker_of(index);
  space->info = BuildIndexInfo(index);
  space->computed = space->info->ii_Predicate != NIL || space->info->ii_Expressions != NIL;
  space->column_count = form->indnkeyatts;
  add(&space->hash, form->indrelid);
  add(&space->hash, space->nulls_equal ? 1 : 0);
  for (int i = 0; i < space->column_count; ++i) {
    KeyColumn* column = &space->columns[i];
    Oid equality = InvalidOid;
    column->attribute = form->indkey.values[i];
    column->collation = index->rd_indcollation[i];
    if (space->hashable && !find_hash(index, i, column, &equality)) space->hashable = false;
    add(&space->hash, static_cast<std::uint64_t>(static_cast<std::uint16_t>(column->attribute)));
    add(&space->hash, (std::uint64_t{equality} << 32) | column->collation);
  }
  if (space->computed) {
    add_stored_tree(&space->hash, index, Anum_pg_index_indexprs);
    add_stored_tree(&space->hash, index, Anum_pg_index_indpred);
  }
}

bool can_identify(const KeySpace& space, const FormData_pg_index& form) {
  return space.hashable && !space.computed && form.indimmediate && form.indisvalid;
}

void build_spaces(Relation relation, List* indexes, TableKeys* keys) {
  const int count = list_length(indexes);
  const Oid primary = relation->rd_pkindex;
  keys->spaces = static_cast<KeySpace*>(
      palloc0(sizeof(KeySpace) * static_cast<std::size_t>(std::max(count, 1))));
  keys->identities = static_cast<KeySpace**>(
      palloc0(sizeof(KeySpace*) * static_cast<std::size_t>(std::max(count, 1))));
  ListCell* cell = nullptr;
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    if (index->rd_index->indisunique || index->rd_index->indisexclusion) {
      KeySpace* space = &keys->spaces[keys->count++];
      build_space(index, space);
      if (can_identify(*space, *index->rd_index)) {
        KeySpace** at = &keys->identities[keys->identity_count++];
        *at = space;
        if (RelationGetRelid(index) == primary) {
          std::swap(*at, keys->identities[0]);
          keys->has_primary_key = true;
        }
      }
    }
    index_close(index, NoLock);
  }
}

/// By their triggers on this table, whose rows stay as they are when the constraint is validated.
void find_references(Relation relation, TableKeys* keys) {
  const TriggerDesc* triggers = relation->trigdesc;
  if (triggers == nullptr) return;
  keys->references = static_cast<TransactionId*>(
      palloc(sizeof(TransactionId) * static_cast<std::size_t>(std::max(triggers->numtriggers, 1))));
  Relation catalogue = table_open(TriggerRelationId, AccessShareLock);
  ScanKeyData of_table;
  ScanKeyInit(&of_table, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
              ObjectIdGetDatum(RelationGetRelid(relation)));
  SysScanDesc scan =
      systable_beginscan(catalogue, TriggerRelidNameIndexId, true, nullptr, 1, &of_table);
  for (HeapTuple row = systable_getnext(scan); HeapTupleIsValid(row);
       row = systable_getnext(scan)) {
    const auto* form = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(row));
    const TransactionId maker = HeapTupleHeaderGetXmin(row->t_data);
    if (RI_FKey_trigger_type(form->tgfoid) != RI_TRIGGER_PK || !TransactionIdIsNormal(maker) ||
        keys->reference_count == triggers->numtriggers)
      continue;
    keys->references[keys->reference_count++] = maker;
  }
  systable_endscan(scan);
  table_close(catalogue, AccessShareLock);
}

TableKeys* keys_of(Relation relation) {
  const Oid oid = RelationGetRelid(relation);
  if (last_asked.relation == oid) return last_asked.keys;
  if (cached != nullptr) {
    const auto found = cached->find(oid);
    if (found != cached->end()) {
      last_asked = {oid, found->second};
      return found->second;
    }
  }
  const std::uint64_t invalidations_before = invalidation_count;
  List* indexes = RelationGetIndexList(relation);
  MemoryContext memory =
      AllocSetContextCreate(CurrentMemoryContext, "zorya table keys", ALLOCSET_SMALL_SIZES);
  MemoryContext outer = MemoryContextSwitchTo(memory);
  auto* keys = static_cast<TableKeys*>(palloc0(sizeof(TableKeys)));
  keys->memory = memory;
  build_spaces(relation, indexes, keys);
  find_references(relation, keys);
  MemoryContextSwitchTo(outer);
  list_free(indexes);
  const bool current = invalidation_count == invalidations_before;
  pg::enter([&]() -> pg::Result<void> {
    if (cached == nullptr) cached = new std::unordered_map<Oid, TableKeys*>;
    if (current) cached->emplace(oid, keys);
    return {};
  });
  // It is complete and reachable now: from here on it lives until PostgreSQL says that the table
  // changed. If it did so while we looked, what we have is good for this statement, whose lock
  // holds the table still, and no longer.
  MemoryContextSetParent(memory, CacheMemoryContext);
  if (!current) retire(keys);
  return keys;
}

// ------------------------------------------------------------------ hashing

/// False if a null makes the row free of this key.
bool hash_values(KeySpace* space, const Datum* values, const bool* nulls, KeyHash* out) {
  *out = space->hash;
  for (int i = 0; i < space->column_count; ++i) {
    if (nulls[i]) {
      if (!space->nulls_equal) return false;
      adjudicator::add_null(out);
      continue;
    }
    KeyColumn* column = &space->columns[i];
    if (column->is_word) {
      add(out, values[i]);
    } else if (column->extended) {
      add(out,
          DatumGetUInt64(FunctionCall2Coll(&column->hash, column->collation, values[i],
                                           UInt64GetDatum(kHashSeedHigh))),
          DatumGetUInt64(FunctionCall2Coll(&column->hash, column->collation, values[i],
                                           UInt64GetDatum(kHashSeedLow))));
    } else {
      add(out, DatumGetUInt32(FunctionCall1Coll(&column->hash, column->collation, values[i])));
    }
  }
  return true;
}

/// The key of the row in `slot`; false if it has none in this space. `state` is made on the first
/// need.
bool key_of_slot(KeySpace* space, TupleTableSlot* slot, EState** state, KeyHash* out) {
  Datum values[INDEX_MAX_KEYS];
  bool nulls[INDEX_MAX_KEYS];
  if (!space->computed) {
    if (!space->hashable) {
      *out = space->hash;
      return true;
    }
    for (int i = 0; i < space->column_count; ++i) {
      values[i] = slot_getattr(slot, space->columns[i].attribute, &nulls[i]);
    }
    return hash_values(space, values, nulls, out);
  }
  if (*state == nullptr) *state = CreateExecutorState();
  ExprContext* context = GetPerTupleExprContext(*state);
  context->ecxt_scantuple = slot;
  // The prepared expressions belong to this state, the cached description to the table.
  IndexInfo info = *space->info;
  info.ii_ExpressionsState = NIL;
  info.ii_PredicateState = nullptr;
  if (info.ii_Predicate != NIL && !ExecQual(ExecPrepareQual(info.ii_Predicate, *state), context))
    return false;
  FormIndexDatum(&info, slot, *state, values, nulls);
  if (!space->hashable) {
    *out = space->hash;
    return true;
  }
  return hash_values(space, values, nulls, out);
}

void refuse_newer(TransactionId made_by) {
  if (TransactionIdIsNormal(made_by) && XidInMVCCSnapshot(made_by, GetTransactionSnapshot()) &&
      !TransactionIdIsCurrentTransactionId(made_by)) {
    raise_schema_changed();
  }
}

void refuse_newer_index(const KeySpace& space) { refuse_newer(space.made_by); }

void add_key(WriteSet& set, const KeyHash& hash, Relation relation) {
  pg::enter([&]() -> pg::Result<void> {
    set.add_key({hash, LockClass::kUpdate, RelationGetRelid(relation)});
    return {};
  });
}

KeyHash hash_of_place(Relation relation, RowId place) {
  KeyHash hash{kHashSeedLow, kHashSeedHigh};  // apart from all keys
  add(&hash, RelationGetRelid(relation));
  add(&hash, (std::uint64_t{place.block} << 16) | place.offset);
  return hash;
}

}  // namespace

void collect_keys(WriteSet& set, Relation relation, TupleTableSlot* slot,
                  TupleTableSlot* replaced) {
  // Nobody else can see a table that this transaction made, nor its rows before it commits.
  if (relation->rd_createSubid != InvalidSubTransactionId) return;
  TableKeys* keys = keys_of(relation);
  EState* state = nullptr;
  for (int i = 0; i < keys->count; ++i) {
    KeySpace* space = &keys->spaces[i];
    KeyHash now;
    KeyHash before;
    refuse_newer_index(*space);
    if (!key_of_slot(space, slot, &state, &now)) continue;
    if (replaced != nullptr && space->hashable && key_of_slot(space, replaced, &state, &before) &&
        before == now) {
      continue;
    }
    if (planted("skip_unique_key")) continue;
    if (planted("skip_partial_entry") && space->info->ii_Predicate != NIL) continue;
    add_key(set, now, relation);
  }
  if (state != nullptr) FreeExecutorState(state);
}

void refuse_newer_references(Relation relation) {
  if (relation->trigdesc == nullptr) return;
  const TableKeys* keys = keys_of(relation);
  for (int i = 0; i < keys->reference_count; ++i) refuse_newer(keys->references[i]);
}

WriteSet::RowIdentity row_identity(Relation relation, HeapTuple tuple, RowId place) {
  TableKeys* keys = keys_of(relation);
  for (int i = 0; i < keys->identity_count; ++i) {
    KeySpace* space = keys->identities[i];
    Datum values[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];
    bool any_null = false;
    refuse_newer_index(*space);
    for (int c = 0; c < space->column_count; ++c) {
      values[c] =
          heap_getattr(tuple, space->columns[c].attribute, RelationGetDescr(relation), &nulls[c]);
      any_null |= nulls[c];
    }
    KeyHash hash;
    if (any_null || !hash_values(space, values, nulls, &hash)) continue;
    // A primary key comes under a lock that lets nobody else be in the table; another unique index
    // does not, and a transaction that only marked the row before it came knows the row by its
    // place.
    if (i == 0 && keys->has_primary_key) return {hash, true, false, {}};
    return {hash, true, true, hash_of_place(relation, place)};
  }
  return {hash_of_place(relation, place), false, false, {}};
}

void install_identity_cache() { CacheRegisterRelcacheCallback(on_relation_changed, 0); }

void release_retired_keys() noexcept {
  while (retired != nullptr) {
    TableKeys* keys = retired;
    retired = keys->next_retired;
    MemoryContextDelete(keys->memory);
  }
}

}  // namespace zorya::query_processor
