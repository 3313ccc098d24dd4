#include "query_processor/gate/router_notices.h"

#include "query_processor/gate/router_word.h"
#include "query_processor/gate/settings.h"
#include "query_processor/pg/server.h"

extern "C" {
#include "access/xact.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
}

namespace zorya::query_processor::gate {
namespace {

char* router_word = nullptr;
char* catalogue_seen = nullptr;  // by the backend before this one

bool router_listens() { return router_word != nullptr && router_word[0] != '\0'; }

/// A backend that ends (terminated, or its client is gone) with a transaction that did not commit:
/// without this nobody could tell whether the statement that was running has committed.
void report_abort_at_end(XactEvent event, void* /*argument*/) {
  if (event != XACT_EVENT_ABORT || !proc_exit_inprogress || !router_listens()) return;
  ereport(NOTICE, (errcode(MAKE_SQLSTATE('Z', 'R', '0', '0', '3')), errmsg("aborted")));
}

void report_changes_of_settable_parameters() {
  config_generic** variables = get_guc_variables();
  for (int i = 0; i < GetNumConfigOptions(); ++i) {
    if (is_settable(variables[i]->name)) variables[i]->flags |= GUC_REPORT;
  }
}

}  // namespace

void install_router_notices() {
  DefineCustomStringVariable(kRouterWordSetting, "Set by the session router.", nullptr,
                             &router_word, "", PGC_BACKEND, GUC_NO_SHOW_ALL | GUC_SUPERUSER_ONLY,
                             nullptr, nullptr, nullptr);
  DefineCustomStringVariable(kCatalogueSeenSetting, "Set by the session router.", nullptr,
                             &catalogue_seen, "0", PGC_BACKEND, GUC_NO_SHOW_ALL, nullptr, nullptr,
                             nullptr);
  RegisterXactCallback(report_abort_at_end, nullptr);
  report_changes_of_settable_parameters();
}

/// INFO passes where the session hears no notices, as while a change runs again at COMMIT.
void report_catalogue_seen(std::uint64_t version) {
  if (!router_listens()) return;
  ereport(INFO, (errcode(MAKE_SQLSTATE('Z', 'R', '0', '0', '4')),
                 errmsg_internal("%llu", static_cast<unsigned long long>(version))));
}

std::uint64_t catalogue_seen_before() { return std::strtoull(catalogue_seen, nullptr, 10); }

bool router_is_there() { return router_listens(); }

void announce_schema_change() {
  if (!router_listens()) return;
  ereport(NOTICE, (errcode(MAKE_SQLSTATE('Z', 'R', '0', '0', '2')), errmsg("schema change")));
}

std::optional<std::string_view> said_by_router(const char* text) {
  if (!router_listens() || text == nullptr) return std::nullopt;
  const char* found = strstr(text, router_word);
  if (found == nullptr) return std::nullopt;
  return std::string_view(found + strlen(router_word));
}

}  // namespace zorya::query_processor::gate
