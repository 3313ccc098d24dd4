// Functions of version 16 that SQL cannot give.
#include "query_processor/pg/server.h"

extern "C" {
#include "access/xact.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
}

namespace {

void read_input(const char* input, Oid type, int32 modifier) {
  Oid function = InvalidOid;
  Oid parameter = InvalidOid;
  getTypeInputInfo(type, &function, &parameter);
  OidInputFunctionCall(function, const_cast<char*>(input), parameter, modifier);
}

/// Bad input is what version 16 tells apart from a failure: the classes that input functions raise
/// for it.
bool is_bad_input(int sqlstate) {
  const int category = ERRCODE_TO_CATEGORY(sqlstate);
  return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
         sqlstate == ERRCODE_UNDEFINED_OBJECT || sqlstate == ERRCODE_UNDEFINED_TABLE ||
         sqlstate == ERRCODE_UNDEFINED_FUNCTION || sqlstate == ERRCODE_INVALID_NAME;
}

/// Version 15's input functions can only raise, so the input is read in a subtransaction.
bool is_valid(const char* input, Oid type, int32 modifier) {
  MemoryContext context = CurrentMemoryContext;
  ResourceOwner owner = CurrentResourceOwner;
  volatile bool valid = true;
  BeginInternalSubTransaction(nullptr);
  MemoryContextSwitchTo(context);
  PG_TRY();
  {
    read_input(input, type, modifier);
    ReleaseCurrentSubTransaction();
  }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    ErrorData* error = CopyErrorData();
    FlushErrorState();
    RollbackAndReleaseCurrentSubTransaction();
    if (!is_bad_input(error->sqlerrcode)) ReThrowError(error);
    valid = false;
  }
  PG_END_TRY();
  MemoryContextSwitchTo(context);
  CurrentResourceOwner = owner;
  return valid;
}

}  // namespace

/// pg_input_is_valid(text, type text): true if the type's input function takes the text. Source:
/// PostgreSQL 16, 9.26.
ZORYA_SQL_FUNCTION(zorya_input_is_valid) {
  const char* input = text_to_cstring(PG_GETARG_TEXT_PP(0));
  Oid type = InvalidOid;
  int32 modifier = -1;
  parseTypeString(text_to_cstring(PG_GETARG_TEXT_PP(1)), &type, &modifier, false);
  PG_RETURN_BOOL(is_valid(input, type, modifier));
}
