#include "query_processor/session.h"

#include "query_processor/pg/server.h"

extern "C" {
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "storage/proc.h"
}

namespace zorya::query_processor {

bool is_client_session() {
  // A session user is set once, when the connection is authenticated; SET ROLE does not change it.
  static Oid known_user = InvalidOid;
  static bool client = false;
  if (MyProc == nullptr || IsBackgroundWorker || IsAutoVacuumWorkerProcess()) return false;
  if (!OidIsValid(MyDatabaseId)) return false;
  const Oid user = GetSessionUserId();
  if (user != known_user) {
    known_user = user;
    client = !superuser_arg(user);
  }
  return client;
}

}  // namespace zorya::query_processor
