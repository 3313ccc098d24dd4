#include "query_processor/page_delete.h"

#include "query_processor/backend.h"

extern "C" {
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/rmgr.h"
#include "access/xact.h"
#include "access/xloginsert.h"
#include "catalog/catalog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
}

// At COMMIT up to 3,000 rows are deleted at once, most of them page by page. Heap's own way then
// spends more on pinning, locking and logging than on the rows.
namespace zorya::query_processor {
namespace {

HeapTupleHeader header_at(Page page, const Entry& row) {
  return reinterpret_cast<HeapTupleHeader>(PageGetItem(page, PageGetItemId(page, row.base.offset)));
}

/// True if the row at its place is committed, never locked or deleted by anybody, and without
/// values in a TOAST table.
bool is_plain(Relation relation, Buffer buffer, const Entry& row, CommandId command) {
  constexpr unsigned kHints = HEAP_XMIN_COMMITTED | HEAP_XMAX_INVALID;
  Page page = BufferGetPage(buffer);
  ItemId line = PageGetItemId(page, row.base.offset);
  if (row.base.offset > PageGetMaxOffsetNumber(page) || !ItemIdIsNormal(line)) return false;
  HeapTupleData tuple;
  tuple.t_tableOid = RelationGetRelid(relation);
  tuple.t_self = item_pointer(row.base);
  tuple.t_data = header_at(page, row);
  tuple.t_len = ItemIdGetLength(line);
  return HeapTupleSatisfiesUpdate(&tuple, command, buffer) == TM_Ok &&
         (tuple.t_data->t_infomask & kHints) == kHints && !HeapTupleHasExternal(&tuple);
}

std::span<Entry* const> plain_ones(Relation relation, Buffer buffer, std::span<Entry* const> rows,
                                   CommandId command) {
  if (PageIsAllVisible(BufferGetPage(buffer))) return {};
  const auto other = std::find_if(rows.begin(), rows.end(), [&](const Entry* row) {
    return !is_plain(relation, buffer, *row, command);
  });
  return rows.first(static_cast<std::size_t>(other - rows.begin()));
}

void set_deleted(HeapTupleHeader header, const Entry& row, TransactionId id, CommandId command) {
  header->t_infomask =
      static_cast<std::uint16_t>(header->t_infomask & ~(HEAP_XMAX_BITS | HEAP_MOVED));
  header->t_infomask2 = static_cast<std::uint16_t>(header->t_infomask2 | HEAP_KEYS_UPDATED);
  HeapTupleHeaderClearHotUpdated(header);
  HeapTupleHeaderSetXmax(header, id);
  HeapTupleHeaderSetCmax(header, command, false);
  header->t_ctid = item_pointer(row.base);
}

// ------------------------------------------------------------------ the log

// What changes of a row lies together in its header.
constexpr std::size_t kChangedFrom = offsetof(HeapTupleHeaderData, t_choice.t_heap.t_xmax);
constexpr std::size_t kChangedTo = offsetof(HeapTupleHeaderData, t_hoff);
constexpr std::size_t kFragmentHead = 2 * sizeof(OffsetNumber);
constexpr std::size_t kLogMax = kFragmentHead + sizeof(TransactionId) +
                                MaxHeapTuplesPerPage * (kFragmentHead + kChangedTo - kChangedFrom);

/// Adds bytes of the page as generic_redo takes them: where, how many, and what they are now.
char* add_fragment(char* to, Page page, const void* changed, std::size_t length) {
  const auto* from = static_cast<const char*>(changed);
  const OffsetNumber head[] = {static_cast<OffsetNumber>(from - page),
                               static_cast<OffsetNumber>(length)};
  std::memcpy(to, head, kFragmentHead);
  std::memcpy(to + kFragmentHead, from, length);
  return to + kFragmentHead + length;
}

/// One generic record, which recovery applies without our library. It is written here and not by
/// GenericXLogFinish, which copies the page twice and compares it byte by byte to find what is
/// known: a tenth of the whole transaction. The tests recover with wal_consistency_checking.
void log_deletes(Buffer buffer, std::span<Entry* const> rows) {
  static char delta[kLogMax];
  Page page = BufferGetPage(buffer);
  const auto* header = reinterpret_cast<PageHeader>(page);
  char* end = add_fragment(delta, page, &header->pd_prune_xid, sizeof header->pd_prune_xid);
  for (const Entry* row : rows) {
    const char* tuple = reinterpret_cast<char*>(header_at(page, *row));
    end = add_fragment(end, page, tuple + kChangedFrom, kChangedTo - kChangedFrom);
  }
  XLogBeginInsert();
  XLogRegisterBuffer(0, buffer, REGBUF_STANDARD);
  XLogRegisterBufData(0, delta, static_cast<int>(end - delta));
  const XLogRecPtr position = XLogInsert(RM_GENERIC_ID, 0);
  PageSetLSN(page, position);
}

}  // namespace

std::size_t delete_on_page(Relation relation, std::span<Entry* const> rows, CommandId command) {
  if (rows.empty() || RelationIsLogicallyLogged(relation)) return 0;
  const TransactionId id = GetCurrentTransactionId();
  Buffer buffer = ReadBuffer(relation, rows.front()->base.block);
  Page page = BufferGetPage(buffer);
  LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
  rows = plain_ones(relation, buffer, rows, command);
  if (!rows.empty()) {
    START_CRIT_SECTION();
    PageSetPrunable(page, id);
    for (const Entry* row : rows) set_deleted(header_at(page, *row), *row, id, command);
    MarkBufferDirty(buffer);
    if (RelationNeedsWAL(relation)) log_deletes(buffer, rows);
    END_CRIT_SECTION();
  }
  UnlockReleaseBuffer(buffer);
  for (std::size_t n = 0; n < rows.size(); ++n) pgstat_count_heap_delete(relation);
  return rows.size();
}

}  // namespace zorya::query_processor
