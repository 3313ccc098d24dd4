#include "query_processor/backend.h"
#include "query_processor/catalogue.h"
#include "query_processor/commit.h"
#include "query_processor/commit_stats.h"
#include "query_processor/forced_outcomes.h"
#include "query_processor/gate/gate.h"
#include "query_processor/hooks.h"
#include "query_processor/identity.h"
#include "query_processor/jobs/launcher.h"
#include "query_processor/pg/boundary.h"
#include "query_processor/settings.h"
#include "query_processor/shared_state.h"
#include "query_processor/table_am.h"
#include "query_processor/wanted_relations.h"

extern "C" {
#include "miscadmin.h"
}

#pragma GCC visibility push(default)
extern "C" {
PG_MODULE_MAGIC;
// NOLINTNEXTLINE(bugprone-reserved-identifier, readability-identifier-naming): PostgreSQL's name
void _PG_init();
}
#pragma GCC visibility pop

// NOLINTNEXTLINE(bugprone-reserved-identifier, readability-identifier-naming): PostgreSQL's name
extern "C" void _PG_init() {
  namespace qp = zorya::query_processor;
  if (!process_shared_preload_libraries_in_progress) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("zorya_query_processor must be in shared_preload_libraries")));
  }
  qp::pg::enter([]() -> qp::pg::Result<void> {
    qp::backend = new qp::Backend;
    return {};
  });
  qp::define_settings();
  qp::install_shared_state();
  qp::install_commit_stats();
  qp::install_forced_outcomes();
  qp::install_table_am();
  qp::install_identity_cache();
  qp::install_commit();
  qp::install_catalogue();
  qp::install_wanted_relations();
  qp::install_hooks();
  qp::jobs::install();
  // The gate comes last, so that what it refuses is refused before anything of the above happens.
  qp::gate::install();
  qp::reserve_setting_names();
}
