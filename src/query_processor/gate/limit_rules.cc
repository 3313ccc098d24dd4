// The limits on objects and values: how large, in which words, and the settings that lower them.
#include "query_processor/gate/limit_settings.h"
#include "query_processor/gate/rules.h"

extern "C" {
#include "utils/errcodes.h"
#include "utils/guc.h"
}

namespace zorya::query_processor::gate {
namespace {

constexpr Source kR = Source::kRecorded;
constexpr Source kD = Source::kDocumented;
constexpr Source kI = Source::kInferred;
constexpr int kTooMany = ERRCODE_PROGRAM_LIMIT_EXCEEDED;

// In the order of the enumeration. Sizes as documented, texts as recorded; `%d` is the limit.
constexpr LimitRule kLimits[] = {
    {"schemas, without public and sys", "zorya.schemas_max", 10, kTooMany,
     "more than %d schemas not allowed", kD},
    {"tables", "zorya.tables_max", 1000, kTooMany, "creating more than %d tables not allowed", kD},
    {"views", "zorya.views_max", 5000, kTooMany, "creating more than %d views not allowed", kD},
    {"bytes of a view's definition", "zorya.view_bytes_max", 2 << 20, kTooMany,
     "view definition too large", kD},
    {"sequences", "zorya.sequences_max", 5000, kTooMany,
     "creating more than %d sequences is not allowed", kD},
    {"columns of a table", "zorya.columns_max", 255, ERRCODE_TOO_MANY_COLUMNS,
     "tables can have at most %d columns", kD},
    {"indexes of a table", "zorya.indexes_max", 24, kTooMany,
     "more than %d indexes per table are not allowed", kR},
    {"columns of a key", "zorya.key_columns_max", 8, ERRCODE_TOO_MANY_COLUMNS,
     "more than %d column keys in an index are not supported", kR},
    {"declared bytes of a key's char and varchar columns", "zorya.declared_key_bytes_max", 2000,
     kTooMany, "key size greater than %d bytes not supported", kR},
    {"extended statistics of a table", "zorya.statistics_max", 5, kTooMany,
     "more than %d extended statistics per table are not allowed", kI},
    {"statistics target", "zorya.statistics_target_max", 100, ERRCODE_INVALID_PARAMETER_VALUE,
     "statistics target %d exceeds maximum allowed value of %d", kD},
    {"bytes of a key in a row", "zorya.key_bytes_max", 1024, kTooMany, "key size too large", kR},
    {"bytes of a column in a row", "zorya.column_bytes_max", 1 << 20, kTooMany,
     "datatype limit greater than %d bytes not supported for %s", kR},
    {"bytes of a row", "zorya.row_bytes_max", 2 << 20, kTooMany, "maximum row size exceeded", kD},
    {"MiB of a transaction's new rows", "zorya.transaction_mib_max", 10, kTooMany,
     "transaction size limit %dmb exceeded", kR},
    {"MiB that a transaction writes in all", "zorya.transaction_hard_mib_max", 40, kTooMany,
     "transaction size limit %dmb exceeded", kI},
    {"declared bytes of a char column", "zorya.char_bytes_max", 4096, kTooMany,
     "Datatype limit greater than %d bytes not supported for char", kR},
    {"declared bytes of a varchar column", "zorya.varchar_bytes_max", 65'535, kTooMany,
     "Datatype limit greater than %d bytes not supported for varchar", kR},
};
static_assert(std::size(kLimits) == static_cast<std::size_t>(Limit::kCount));

constexpr bool agrees_with_settings() {
  for (const LimitRule& rule : kLimits) {
    // By value: with sanitizers the address of a constant is none to the compiler.
    bool agrees = false;
    for (const LimitSetting& setting : kLimitSettings) {
      agrees |=
          setting.name == std::string_view(rule.setting).substr(6) && setting.maximum == rule.limit;
    }
    if (!agrees) return false;
  }
  return true;
}
static_assert(agrees_with_settings());

/// What the settings say.
int in_force[std::size(kLimits)];

}  // namespace

const LimitRule& limit_rule(Limit limit) { return kLimits[static_cast<std::size_t>(limit)]; }
int limit_in_force(Limit limit) { return in_force[static_cast<std::size_t>(limit)]; }

void define_limit_settings() {
  for (std::size_t i = 0; i < std::size(kLimits); ++i) {
    const LimitRule& rule = kLimits[i];
    DefineCustomIntVariable(rule.setting, rule.what, nullptr, &in_force[i], rule.limit, 1,
                            rule.limit, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  }
}

void hold_limit(Limit limit, std::int64_t count) {
  const int most = limit_in_force(limit);
  if (count > most) {
    const LimitRule& rule = limit_rule(limit);
    ereport(ERROR, (errcode(rule.sqlstate), errmsg_internal("%s", psprintf(rule.text, most))));
  }
}

}  // namespace zorya::query_processor::gate
