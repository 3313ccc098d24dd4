#pragma once

namespace zorya::query_processor {

/// Sets the executor's and the utility hook of the transaction rules. Once, in the postmaster.
void install_hooks();

}  // namespace zorya::query_processor
