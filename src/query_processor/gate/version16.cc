// Functions of version 16 that SQL cannot give.
#include "query_processor/pg/server.h"
#include "query_processor/pg/subtransaction.h"

extern "C" {
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace {

using zorya::query_processor::pg::run_in_subtransaction;
using zorya::query_processor::pg::Subtransaction;

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
  struct Input {
    const char* text;
    Oid type;
    int32 modifier;
  } read{input, type, modifier};
  ErrorData* error = run_in_subtransaction(
      [](void* argument) {
        const auto* what = static_cast<Input*>(argument);
        read_input(what->text, what->type, what->modifier);
      },
      &read, Subtransaction::kKept);
  if (error != nullptr && !is_bad_input(error->sqlerrcode)) ReThrowError(error);
  return error == nullptr;
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
