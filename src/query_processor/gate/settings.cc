// set_config, and what the server says it is.
#include "query_processor/gate/settings.h"

#include "query_processor/gate/checks.h"
#include "query_processor/gate/version.h"
#include "query_processor/session.h"

// GSSAPI's headers are another package; PostgreSQL keeps the layout of its structs without them.
#undef ENABLE_GSS

extern "C" {
#include "libpq/auth.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
}

namespace zorya::query_processor::gate {
namespace {

config_int* number_named(const char* name) {
  config_generic** variables = get_guc_variables();
  for (int i = 0; i < GetNumConfigOptions(); ++i) {
    if (strcmp(variables[i]->name, name) == 0) return reinterpret_cast<config_int*>(variables[i]);
  }
  return nullptr;
}

/// server_version_num admits one value only, so it is changed where it is declared.
void report_version_number(int number) {
  config_int* variable = number_named("server_version_num");
  if (variable == nullptr) return;
  variable->boot_val = variable->reset_val = variable->min = variable->max = number;
  *variable->variable = number;
}

void report_version(const char* name, int number) {
  SetConfigOption("server_version", name, PGC_INTERNAL, PGC_S_OVERRIDE);
  report_version_number(number);
}

ClientAuthentication_hook_type previous_authentication = nullptr;

/// pg_basebackup copies the files of its own version's servers only.
void tell_backups_the_truth(Port* port, int status) {
  if (previous_authentication != nullptr) previous_authentication(port, status);
  if (am_walsender) report_version(PG_VERSION, PG_VERSION_NUM);
}

/// The service says 20 whatever its real limit is.
const char* show_max_connections() {
  return is_client_session() ? kReportedMaxConnections.data() : psprintf("%d", MaxConnections);
}

}  // namespace

void report_service_version() {
  report_version(kServerVersion.data(), kServerVersionNumber);
  previous_authentication = ClientAuthentication_hook;
  ClientAuthentication_hook = tell_backups_the_truth;
  if (config_int* shown = number_named("max_connections")) shown->show_hook = show_max_connections;
}

}  // namespace zorya::query_processor::gate

/// pg_catalog.set_config for everybody: PostgreSQL's own behind the list of settable parameters. It
/// stands under a new oid, because fmgr calls built-in functions by oid whatever pg_proc says of
/// them.
ZORYA_SQL_FUNCTION(zorya_set_config) {
  using namespace zorya::query_processor::gate;
  if (zorya::query_processor::is_client_session() && !PG_ARGISNULL(0)) {
    const char* name = text_to_cstring(PG_GETARG_TEXT_PP(0));
    // asyncpg turns it off around each look at the catalogue's types, and takes only this answer
    // for "there is none"; with the service that works.
    if (pg_strcasecmp(name, "jit") == 0) refuse(Clause::kJit);
    check_setting(name);
  }
  return set_config_by_name(fcinfo);
}
