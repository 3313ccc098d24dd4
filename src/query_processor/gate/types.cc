// Column types: which exist, how wide they may be, which may be keys.
#include "query_processor/gate/checks.h"

extern "C" {
#include "catalog/pg_type_d.h"
#include "nodes/value.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/errcodes.h"
#include "utils/lsyscache.h"
}

namespace zorya::query_processor::gate {
namespace {

/// numeric without a size is numeric(18,6), unlike PostgreSQL's.
constexpr int32 kDefaultNumericMod = (18 << 16 | 6) + VARHDRSZ;

const TypeRule* type_rule(Oid type) {
  for (const TypeRule& rule : type_rules()) {
    if (rule.type == type) return &rule;
  }
  return nullptr;
}

bool is_serial(const TypeName* type) {
  static constexpr const char* kSerials[] = {"serial",  "serial4",     "bigserial",
                                             "serial8", "smallserial", "serial2"};
  if (list_length(type->names) != 1) return false;
  for (const char* name : kSerials) {
    if (strcmp(name, strVal(linitial(type->names))) == 0) return true;
  }
  return false;
}

void hold_width(Oid type, int32 modifier) {
  if (type == BPCHAROID) hold_limit(Limit::kCharBytes, modifier - VARHDRSZ);
  if (type == VARCHAROID) hold_limit(Limit::kVarcharBytes, modifier - VARHDRSZ);
}

}  // namespace

Oid check_column_type(TypeName* type) {
  if (type == nullptr) return InvalidOid;
  if (is_serial(type)) {
    // PostgreSQL's word for a macro that the service does not have.
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                    errmsg("type \"%s\" does not exist", strVal(linitial(type->names)))));
  }
  const Oid type_id =
      OidIsValid(type->typeOid) ? type->typeOid : LookupTypeNameOid(nullptr, type, true);
  if (!OidIsValid(type_id)) return InvalidOid;
  const Oid base = getBaseType(type_id);
  if (type->setof || type_rule(base) == nullptr) {
    refuse_text(psprintf("datatype %s not supported", format_type_be(base)));
  }
  if (type->typmods != NIL) {
    Oid resolved = InvalidOid;
    int32 modifier = -1;
    typenameTypeIdAndMod(nullptr, type, &resolved, &modifier);
    hold_width(resolved, modifier);
  } else if (type_id == NUMERICOID && type->typemod == -1) {
    type->typemod = kDefaultNumericMod;
  }
  return type_id;
}

void check_key_type(Oid type) {
  if (!OidIsValid(type)) return;
  const Oid base = getBaseType(type);
  const TypeRule* rule = type_rule(base);
  if (rule == nullptr || !rule->in_key) {
    refuse_text(psprintf("datatype %s is not supported in a key", format_type_be(base)));
  }
}

int declared_width(Oid type, int32 modifier) {
  const Oid base = getBaseTypeAndTypmod(type, &modifier);
  const bool has_width = (base == BPCHAROID || base == VARCHAROID) && modifier >= VARHDRSZ;
  return has_width ? modifier - VARHDRSZ : 0;
}

int declared_width(const TypeName* type) {
  Oid type_id = InvalidOid;
  int32 modifier = -1;
  if (!OidIsValid(LookupTypeNameOid(nullptr, type, true))) return 0;
  typenameTypeIdAndMod(nullptr, type, &type_id, &modifier);
  return declared_width(type_id, modifier);
}

void check_collate(const CollateClause* collate) {
  if (collate == nullptr) return;
  if (strcmp(strVal(llast(collate->collname)), "C") != 0) refuse(Clause::kCollate);
}

}  // namespace zorya::query_processor::gate
