#pragma once

namespace zorya::query_processor::gate {

/// Makes the server say the version of the service (gate/settings.h): SHOW, ParameterStatus,
/// pg_settings. Once, in the postmaster, which its backends inherit. version() is SQL
/// (20_functions.sql).
void report_service_version();

}  // namespace zorya::query_processor::gate
