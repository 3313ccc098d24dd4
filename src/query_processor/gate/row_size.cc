#include "query_processor/gate/row_size.h"

#include "query_processor/backend.h"
#include "query_processor/gate/gate.h"
#include "query_processor/gate/rules.h"
#include "query_processor/pg/boundary.h"
#include "query_processor/pg/version.h"

extern "C" {
#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/toast_compression.h"
#include "access/toast_internals.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
}

namespace zorya::query_processor::gate {
namespace {

constexpr std::size_t kMib = std::size_t{1} << 20U;
/// Of an index entry, beside its values: its header, its line pointer, and what alignment takes.
constexpr std::size_t kEntryOverhead = sizeof(IndexTupleData) + sizeof(ItemIdData) + 4;
/// PostgreSQL stores values from about here on compressed.
constexpr std::size_t kCompressedFrom = 2000;
/// LZ4 leaves a 255th at best: of this, more than any column may hold.
constexpr std::size_t kHopelessFrom = std::size_t{256} << 20U;

/// Where a row lies that was written at once.
struct WrittenRow {
  Oid relation;
  ItemPointerData tid;
};

/// Of this transaction. One backend, one thread. The array is the top transaction's memory.
struct Written {
  std::size_t row_bytes;    // every version of every row, before compression
  std::size_t bytes_bound;  // no less than what COMMIT would measure
  WrittenRow* rows;
  std::size_t row_count;
  std::size_t row_capacity;
};
Written written{};

bool is_compressed_type(Oid type) {
  switch (getBaseType(type)) {
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
    case JSONOID:
    case JSONBOID:
      return true;
    default:
      return false;
  }
}

/// The size of a large value once it is compressed; the same if that does not help.
std::size_t compressed_size_bytes(Datum value, std::size_t size_bytes) {
  if (size_bytes >= kHopelessFrom) return size_bytes;
  const Datum compressed =
      toast_compress_datum(value, static_cast<char>(default_toast_compression));
  if (compressed == Datum{0}) return size_bytes;
  const std::size_t smaller = VARSIZE(DatumGetPointer(compressed)) - VARHDRSZ;
  pfree(DatumGetPointer(compressed));
  return smaller;
}

/// A value as it would be stored. Plain ones from `compressed_from` on are compressed for the
/// answer.
std::size_t stored_size_bytes(const FormData_pg_attribute* column, Datum value,
                              std::size_t compressed_from) {
  if (column->attlen != -1) return static_cast<std::size_t>(std::max<int>(column->attlen, 0));
  std::size_t size_bytes = toast_datum_size(value);
  if (size_bytes <= compressed_from || VARATT_IS_EXTENDED(DatumGetPointer(value)))
    return size_bytes;
  size_bytes -= VARHDRSZ;
  return is_compressed_type(column->atttypid) ? compressed_size_bytes(value, size_bytes)
                                              : size_bytes;
}

// ------------------------------------------------------------------ columns and rows

std::size_t hold_column_size(const FormData_pg_attribute* column, Datum value) {
  const int most = limit_in_force(Limit::kColumnBytes);
  const std::size_t size_bytes = stored_size_bytes(column, value, static_cast<std::size_t>(most));
  if (size_bytes > static_cast<std::size_t>(most) && column->attlen == -1) {
    const LimitRule& rule = limit_rule(Limit::kColumnBytes);
    ereport(ERROR,
            (errcode(rule.sqlstate),
             errmsg_internal(
                 "%s", psprintf(rule.text, most, format_type_be(getBaseType(column->atttypid))))));
  }
  return size_bytes;
}

/// The bytes of a row, each column's held to its limit.
std::size_t hold_column_sizes(TupleDesc columns, TupleTableSlot* slot) {
  std::size_t size_bytes = SizeofHeapTupleHeader;
  for (int i = 0; i < columns->natts; ++i) {
    if (!slot->tts_isnull[i])
      size_bytes += hold_column_size(TupleDescAttr(columns, i), slot->tts_values[i]);
  }
  return size_bytes;
}

// ------------------------------------------------------------------ keys

/// The bytes of a key's value, without PostgreSQL's own header.
std::size_t key_value_bytes(const FormData_pg_attribute* column, Datum value) {
  if (column->attlen != -1) return static_cast<std::size_t>(std::max<int>(column->attlen, 0));
  return toast_raw_datum_size(value) - VARHDRSZ;
}

/// What all indexed columns of the row hold together: no key of plain columns is larger.
std::size_t indexed_bytes(Relation relation, TupleTableSlot* slot) {
  TupleDesc columns = RelationGetDescr(relation);
  Bitmapset* indexed = pg::indexed_columns(relation);
  std::size_t size_bytes = 0;
  int member = -1;
  while ((member = bms_next_member(indexed, member)) >= 0) {
    const int i = member + FirstLowInvalidHeapAttributeNumber - 1;
    if (i >= 0 && !slot->tts_isnull[i])
      size_bytes += key_value_bytes(TupleDescAttr(columns, i), slot->tts_values[i]);
  }
  bms_free(indexed);
  return size_bytes;
}

void hold_key_size(Relation index, TupleTableSlot* slot, EState* state) {
  IndexInfo* info = BuildIndexInfo(index);
  if (info->ii_Predicate != NIL &&
      !ExecQual(ExecPrepareQual(info->ii_Predicate, state), GetPerTupleExprContext(state))) {
    return;
  }
  Datum values[INDEX_MAX_KEYS];
  bool nulls[INDEX_MAX_KEYS];
  FormIndexDatum(info, slot, state, values, nulls);
  std::size_t size_bytes = 0;
  for (int i = 0; i < info->ii_NumIndexKeyAttrs; ++i) {
    if (!nulls[i])
      size_bytes += key_value_bytes(TupleDescAttr(RelationGetDescr(index), i), values[i]);
  }
  hold_limit(Limit::kKeyBytes, static_cast<std::int64_t>(size_bytes));
}

/// Each index of the table on its own. Only for rows that may hold a key above the limit.
void hold_key_sizes(Relation relation, TupleTableSlot* slot) {
  List* indexes = RelationGetIndexList(relation);
  EState* state = CreateExecutorState();
  GetPerTupleExprContext(state)->ecxt_scantuple = slot;
  ListCell* cell;
  foreach (cell, indexes) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    hold_key_size(index, slot, state);
    index_close(index, NoLock);
  }
  FreeExecutorState(state);
  list_free(indexes);
}

// ------------------------------------------------------------------ transactions

std::size_t in_bytes(Limit mib_limit) {
  return static_cast<std::size_t>(limit_in_force(mib_limit)) * kMib;
}

/// As recorded; a number that says more than the limit.
void raise_transaction_size(std::size_t size_bytes) {
  const int most = limit_in_force(Limit::kTransactionMib);
  const std::size_t told = std::max(size_bytes / kMib, static_cast<std::size_t>(most) + 1);
  const LimitRule& rule = limit_rule(Limit::kTransactionMib);
  ereport(ERROR, (errcode(rule.sqlstate), errmsg_internal("%s", psprintf(rule.text, most)),
                  errdetail("Current transaction size %zumb > %dmb", told, most)));
}

/// An index other than the primary key's, which is the table, carries its own columns and that key.
std::size_t entry_bytes(Relation index, const std::size_t* column_bytes, std::size_t key_bytes) {
  std::size_t size_bytes = kEntryOverhead + key_bytes;
  for (int i = 0; i < index->rd_index->indnatts; ++i) {
    const AttrNumber column = index->rd_index->indkey.values[i];
    if (column > 0) size_bytes += column_bytes[column - 1];
  }
  return size_bytes;
}

std::size_t primary_key_bytes(Relation relation, const std::size_t* column_bytes) {
  if (!OidIsValid(relation->rd_pkindex)) return 0;
  Relation index = index_open(relation->rd_pkindex, AccessShareLock);
  const std::size_t size_bytes = entry_bytes(index, column_bytes, 0) - kEntryOverhead;
  index_close(index, NoLock);
  return size_bytes;
}

/// A stored or pending row with its index entries.
std::size_t measure_row(Relation relation, HeapTuple tuple) {
  TupleDesc columns = RelationGetDescr(relation);
  const auto count = static_cast<std::size_t>(columns->natts);
  auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * count));
  auto* nulls = static_cast<bool*>(palloc(sizeof(bool) * count));
  auto* sizes = static_cast<std::size_t*>(palloc0(sizeof(std::size_t) * count));
  heap_deform_tuple(tuple, columns, values, nulls);
  std::size_t size_bytes = SizeofHeapTupleHeader;
  for (std::size_t i = 0; i < count; ++i) {
    if (nulls[i]) continue;
    sizes[i] =
        stored_size_bytes(TupleDescAttr(columns, static_cast<int>(i)), values[i], kCompressedFrom);
    size_bytes += sizes[i];
  }
  List* indexes = RelationGetIndexList(relation);
  const std::size_t key_bytes = primary_key_bytes(relation, sizes);
  ListCell* cell;
  foreach (cell, indexes) {
    if (lfirst_oid(cell) == relation->rd_pkindex) continue;
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    size_bytes += entry_bytes(index, sizes, key_bytes);
    index_close(index, NoLock);
  }
  return size_bytes;
}

/// Nothing if a later statement of the transaction replaced or deleted it.
std::size_t measure_written_row(const WrittenRow& row) {
  Relation relation = table_open(row.relation, NoLock);
  HeapTupleData tuple{};
  tuple.t_self = row.tid;
  Buffer buffer = InvalidBuffer;
  std::size_t size_bytes = 0;
  if (pg::fetch_own(relation, &tuple, &buffer)) size_bytes = measure_row(relation, &tuple);
  if (BufferIsValid(buffer)) ReleaseBuffer(buffer);
  table_close(relation, NoLock);
  return size_bytes;
}

std::size_t measure_pending_row(const Entry& entry) {
  if (entry.newest->tuple == nullptr) return 0;
  Relation relation = table_open(entry.relation, NoLock);
  const std::size_t size_bytes = measure_row(relation, static_cast<HeapTuple>(entry.newest->tuple));
  table_close(relation, NoLock);
  return size_bytes;
}

/// What the transaction leaves. Reads every row again, so only if it may be too much.
std::size_t measure_transaction() {
  MemoryContext scratch =
      AllocSetContextCreate(CurrentMemoryContext, "zorya size", ALLOCSET_DEFAULT_SIZES);
  MemoryContext outer = MemoryContextSwitchTo(scratch);
  std::size_t size_bytes = 0;
  for (std::size_t i = 0; i < written.row_count; ++i) {
    size_bytes += measure_written_row(written.rows[i]);
    MemoryContextReset(scratch);
  }
  const auto pending = pg::enter([]() -> pg::Result<std::span<Entry* const>> {
    return backend->write_set.entries_to_apply();
  });
  for (const Entry* entry : pending) {
    size_bytes += measure_pending_row(*entry);
    MemoryContextReset(scratch);
  }
  MemoryContextSwitchTo(outer);
  MemoryContextDelete(scratch);
  return size_bytes;
}

void hold_transaction_size(XactEvent event, void* /*argument*/) {
  if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT) written = {};
  if (event != XACT_EVENT_PRE_COMMIT) return;
  const std::size_t most = in_bytes(Limit::kTransactionMib);
  if (written.bytes_bound <= most) return;
  const std::size_t size_bytes = measure_transaction();
  if (size_bytes > most) raise_transaction_size(size_bytes);
}

/// Rows that are inserted go to disk before COMMIT can refuse them, and pending ones stay in
/// memory.
void count_written(Relation relation, std::size_t size_bytes) {
  const auto index_count =
      static_cast<std::size_t>(relation->rd_indexvalid ? list_length(relation->rd_indexlist) : 0);
  written.row_bytes += size_bytes;
  written.bytes_bound += size_bytes + index_count * (2 * size_bytes + kEntryOverhead);
  if (written.row_bytes > in_bytes(Limit::kTransactionHardMib))
    raise_transaction_size(written.row_bytes);
}

}  // namespace

void hold_row_size(Relation relation, TupleTableSlot* slot) {
  if (!binds_session()) return;
  slot_getallattrs(slot);
  const std::size_t size_bytes = hold_column_sizes(RelationGetDescr(relation), slot);
  hold_limit(Limit::kRowBytes, static_cast<std::int64_t>(size_bytes));
  const auto key_most = static_cast<std::size_t>(limit_in_force(Limit::kKeyBytes));
  if (size_bytes > key_most && indexed_bytes(relation, slot) > key_most)
    hold_key_sizes(relation, slot);
  count_written(relation, size_bytes);
}

void note_written_row(Relation relation, const ItemPointerData* tid) {
  constexpr std::size_t kFirstCapacity = 64;
  if (!binds_session()) return;
  if (written.row_count == written.row_capacity) {
    const std::size_t capacity =
        written.row_capacity == 0 ? kFirstCapacity : written.row_capacity * 2;
    const std::size_t size_bytes = capacity * sizeof(WrittenRow);
    written.rows = static_cast<WrittenRow*>(
        written.rows == nullptr ? MemoryContextAlloc(TopTransactionContext, size_bytes)
                                : repalloc_huge(written.rows, size_bytes));
    written.row_capacity = capacity;
  }
  written.rows[written.row_count++] = {RelationGetRelid(relation), *tid};
}

void prefer_lz4() {
#ifdef USE_LZ4
  SetConfigOption("default_toast_compression", "lz4", PGC_POSTMASTER, PGC_S_DYNAMIC_DEFAULT);
#endif
}

void install_transaction_size() { RegisterXactCallback(hold_transaction_size, nullptr); }

}  // namespace zorya::query_processor::gate
