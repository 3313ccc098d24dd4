#pragma once

#include "query_processor/gate/limit_settings.h"

namespace zorya::query_processor {

/// The settings of the extension, `zorya.` and the name here where nothing else is said. A client
/// cannot set them. A number can only be lowered, so that tests reach a limit quickly.
struct Settings {
  int transaction_rows_max = gate::limit_setting("transaction_rows_max")->maximum;
  /// Rows read with a lock clause or by a foreign key.
  int transaction_marks_max = gate::limit_setting("transaction_marks_max")->maximum;
  int transaction_age_s_max = gate::limit_setting("transaction_age_s_max")->maximum;
  /// zorya.recent_keys_size: memory for the table of recent keys, used as needed.
  int recent_keys_kib = 64 * 1024;
  /// A new index is a schema change to other sessions, as the service may have it.
  bool index_changes_conflict = false;
};

/// The settings in force. Any backend.
const Settings& settings();

/// Defines them. Once, in the postmaster.
void define_settings();

/// Makes a name under `zorya.` that nobody defined an error. After the gate has defined its own.
void reserve_setting_names();

}  // namespace zorya::query_processor
