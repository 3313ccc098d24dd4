#pragma once

namespace zorya::query_processor::jobs {

/// True in a job worker. What a user's functions do there is held to reading.
bool is_worker();

}  // namespace zorya::query_processor::jobs
