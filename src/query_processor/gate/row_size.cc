#include "query_processor/gate/row_size.h"

#include "query_processor/gate/gate.h"

extern "C" {
#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/toast_internals.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace zorya::query_processor::gate {
namespace {

/// Bytes that this transaction's rows have. One backend, one thread.
std::size_t transaction_bytes = 0;

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
  const Datum compressed = toast_compress_datum(value, TOAST_PGLZ_COMPRESSION);
  if (compressed == Datum{0}) return size_bytes;
  const std::size_t smaller = VARSIZE(DatumGetPointer(compressed)) - VARHDRSZ;
  pfree(DatumGetPointer(compressed));
  return smaller;
}

std::size_t hold_column_size(const FormData_pg_attribute* column, Datum value) {
  std::size_t size_bytes = toast_datum_size(value);
  if (size_bytes <= kColumnBytesMax) return size_bytes;
  const char* bytes = DatumGetPointer(value);
  const bool plain = !VARATT_IS_EXTENDED(bytes);
  if (plain) size_bytes -= VARHDRSZ;
  if (plain && is_compressed_type(column->atttypid))
    size_bytes = compressed_size_bytes(value, size_bytes);
  if (size_bytes > kColumnBytesMax) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                    errmsg("datatype limit greater than %zu bytes not supported for %s",
                           kColumnBytesMax, format_type_be(getBaseType(column->atttypid)))));
  }
  return size_bytes;
}

void hold_transaction_size(XactEvent event, void* /*argument*/) {
  if (event != XACT_EVENT_PRE_COMMIT) {
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT) transaction_bytes = 0;
    return;
  }
  if (transaction_bytes <= kTransactionBytesMax) return;
  ereport(ERROR,
          (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("transaction size limit 10mb exceeded"),
           errdetail("Current transaction size %zumb > 10mb", transaction_bytes >> 20U)));
}

}  // namespace

void hold_row_size(Relation relation, TupleTableSlot* slot) {
  if (!binds_session()) return;
  TupleDesc columns = RelationGetDescr(relation);
  slot_getallattrs(slot);
  std::size_t size_bytes = SizeofHeapTupleHeader;
  for (int i = 0; i < columns->natts; ++i) {
    const FormData_pg_attribute* column = TupleDescAttr(columns, i);
    if (slot->tts_isnull[i]) continue;
    size_bytes += column->attlen == -1 ? hold_column_size(column, slot->tts_values[i])
                                       : static_cast<std::size_t>(std::max<int>(column->attlen, 0));
  }
  if (size_bytes > kRowBytesMax) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("maximum row size exceeded")));
  }
  transaction_bytes += size_bytes;
}

void install_transaction_size() { RegisterXactCallback(hold_transaction_size, nullptr); }

}  // namespace zorya::query_processor::gate
