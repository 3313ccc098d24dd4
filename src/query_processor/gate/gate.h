#pragma once

namespace zorya::query_processor::gate {

/// Sets the hooks that refuse what the service refuses. Called once, by _PG_init, in the
/// postmaster.
void install();

}  // namespace zorya::query_processor::gate
