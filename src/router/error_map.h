#pragma once

#include "pgwire/messages.h"

#include <chrono>
#include <optional>
#include <string_view>

namespace zorya::router {

/// SQLSTATEs of this class are between the extension and us: no client sees them.
inline constexpr std::string_view kPrivateClass = "ZR";
/// A notice whose message is the id of a job: it becomes the row that the statement returns.
inline constexpr std::string_view kJobIdNotice = "ZR001";
inline constexpr std::string_view kJobIdColumn = "job_id";
/// A notice: a schema change begins to run.
inline constexpr std::string_view kSchemaChangeNotice = "ZR002";
/// A notice of a backend that ends: its transaction did not commit.
inline constexpr std::string_view kAbortedNotice = "ZR003";
/// A notice whose message is the version of the catalogue that the session has seen.
inline constexpr std::string_view kCatalogueNotice = "ZR004";
/// A notice that a test's forced outcome sends: the client's connection ends here, without a word.
inline constexpr std::string_view kDropNotice = "ZR009";

/// What the client gets in place of a backend's error; nothing if it gets the error as it is.
/// Waits that ended by lock_timeout or as a deadlock, and conflicts in the catalogue, are 40001
/// OC001 in the recorded words; temporary space and AWS IAM statements have the words that
/// PostgreSQL lacks.
std::optional<pgwire::ErrorReport> map_error(const pgwire::ErrorFields& error);

/// A backend's answer to our login, likewise: too many sessions in the recorded words.
std::optional<pgwire::ErrorReport> map_login_error(const pgwire::ErrorFields& error);

/// True for what a backend says that ends without being asked to: shut down, terminated, crashed
/// beside, or idle in a transaction for too long.
bool is_loss(const pgwire::ErrorFields& error);

/// 40001 (OC001), in the recorded words.
pgwire::ErrorReport catalogue_conflict();

/// 54000 with the age in DETAIL, in the recorded words.
pgwire::ErrorReport transaction_too_old(std::chrono::seconds age, std::chrono::seconds age_max);

/// "server unavailable": the backend is gone, and what it was doing may or may not be done.
pgwire::ErrorReport server_unavailable(std::string_view severity = "ERROR");

/// FATAL 08006 with the session's id and the reason, as recorded.
pgwire::ErrorReport access_denied(std::string_view session_id, std::string_view hint);

/// FATAL 08006 "unable to accept connection, " + what.
pgwire::ErrorReport not_accepted(std::string_view what, std::string_view session_id);

}  // namespace zorya::router
