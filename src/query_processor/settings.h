#pragma once

#include "query_processor/gate/limit_settings.h"

namespace zorya::query_processor {

/// The settings of the extension. A client cannot set them; each can only be lower than the
/// service's limit, so that tests reach a limit quickly.
struct Settings {
  int transaction_rows_max =
      gate::limit_setting("transaction_rows_max")->maximum;  // zorya.transaction_rows_max
  int transaction_marks_max = gate::limit_setting("transaction_marks_max")
                                  ->maximum;  // zorya.transaction_marks_max: rows read with a lock
                                              // clause or by a foreign key
  int transaction_age_s_max =
      gate::limit_setting("transaction_age_s_max")->maximum;  // zorya.transaction_age_s_max
  int recent_keys_kib =
      64 * 1024;  // zorya.recent_keys_size: memory for the table of recent keys, used as needed
  bool index_changes_conflict = false;  // zorya.index_changes_conflict: a new index is a schema
                                        // change to other sessions, as the service may have it
};

/// The settings in force. Any backend.
const Settings& settings();

/// Defines them. Once, in the postmaster.
void define_settings();

/// Makes a name under `zorya.` that nobody defined an error. After the gate has defined its own.
void reserve_setting_names();

}  // namespace zorya::query_processor
