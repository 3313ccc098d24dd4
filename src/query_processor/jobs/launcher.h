#pragma once

namespace zorya::query_processor::jobs {

/// Registers the launcher with the postmaster, and what jobs need in every process. Once, by
/// _PG_init.
void install();

}  // namespace zorya::query_processor::jobs
