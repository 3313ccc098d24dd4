#pragma once

namespace zorya::query_processor::gate {

/// Sets the hooks that refuse what the service refuses. Called once, by _PG_init, in the
/// postmaster.
void install();

/// True if the gate's rules bind this session: a client's, unless the server was started for tests
/// of what lies behind the gate.
bool binds_session();

}  // namespace zorya::query_processor::gate
