#pragma once

namespace zorya::query_processor {

/// True in a backend whose session user is not a superuser: the sessions that the service's rules
/// bind. The owner of a cluster, its jobs and background workers are not clients. False before a
/// session user is known.
bool is_client_session();

}  // namespace zorya::query_processor
