#include "query_processor/settings.h"

#include "adjudicator/recent_keys.h"
#include "query_processor/pg/server.h"

extern "C" {
#include "utils/guc.h"
}

namespace zorya::query_processor {
namespace {

Settings current;

}  // namespace

const Settings& settings() { return current; }

void define_settings() {
  const Settings defaults;
  constexpr int kKibMin = static_cast<int>(adjudicator::RecentKeys::kSizeBytesMin / 1024);
  DefineCustomIntVariable("zorya.transaction_rows_max",
                          "Rows that a client's transaction may change.", nullptr,
                          &current.transaction_rows_max, defaults.transaction_rows_max, 1,
                          defaults.transaction_rows_max, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("zorya.transaction_marks_max",
                          "Rows that a client's transaction may read with a lock clause.", nullptr,
                          &current.transaction_marks_max, defaults.transaction_marks_max, 1,
                          defaults.transaction_marks_max, PGC_SUSET, 0, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "zorya.transaction_age_s_max", "Age in seconds that a client's transaction may reach.",
      nullptr, &current.transaction_age_s_max, defaults.transaction_age_s_max, 1,
      defaults.transaction_age_s_max, PGC_SUSET, GUC_UNIT_S, nullptr, nullptr, nullptr);
  DefineCustomIntVariable(
      "zorya.recent_keys_size", "Memory for the table of recent keys, touched as needed.", nullptr,
      &current.recent_keys_kib, defaults.recent_keys_kib, kKibMin, defaults.recent_keys_kib,
      PGC_POSTMASTER, GUC_UNIT_KB, nullptr, nullptr, nullptr);
  DefineCustomBoolVariable("zorya.index_changes_conflict",
                           "Sessions that use a table are told (OC001) of a new index on it.",
                           nullptr, &current.index_changes_conflict,
                           defaults.index_changes_conflict, PGC_SUSET, 0, nullptr, nullptr,
                           nullptr);
}

void reserve_setting_names() { MarkGUCPrefixReserved("zorya"); }

}  // namespace zorya::query_processor
