#include "query_processor/session.h"

#include "query_processor/pg/server.h"

extern "C" {
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "storage/proc.h"
}

namespace zorya::query_processor {

bool is_client_session() {
  if (MyProc == nullptr || IsBackgroundWorker || IsAutoVacuumWorkerProcess()) return false;
  // Set after the session user is known.
  if (!OidIsValid(MyDatabaseId)) return false;
  // Noted when the connection was authenticated; SET ROLE does not change it. No catalogue is read,
  // so it may be asked in a failed transaction too.
  return !GetSessionUserIsSuperuser();
}

}  // namespace zorya::query_processor
