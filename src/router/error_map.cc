#include "router/error_map.h"

#include <string>

namespace zorya::router {
namespace {

using pgwire::ErrorFields;
using pgwire::ErrorReport;

/// 55P03: lock_timeout. 40P01: a deadlock found sooner. XX000 and 23505: two DDL statements met in
/// the catalogue; or what a statement had found by its name was dropped before it was opened or
/// looked up.
bool is_catalogue_conflict(const ErrorFields& error) {
  const std::string_view state = error['C'];
  if (state == "55P03" || state == "40P01") return true;
  if (state == "XX000") {
    return error['M'].starts_with("tuple concurrently ") ||
           error['M'].starts_with("could not open relation with OID ") ||
           error['M'].starts_with("cache lookup failed for ");
  }
  // An error about a name that the extension has renamed: what else it said is of the name.
  if (state == "40001") return error['M'].ends_with("(OC001)");
  return state == "23505" && error['s'] == "pg_catalog";
}

/// A query's temporary space, which PostgreSQL bounds by temp_file_limit and tells as "...
/// (131072kB)"; in the observed words.
ErrorReport temporary_space(std::string_view told) {
  const std::size_t open = told.find('(');
  const std::size_t unit = told.find("kB)");
  const bool has_size = open != std::string_view::npos && unit != std::string_view::npos;
  const std::string size(has_size ? told.substr(open + 1, unit - open - 1) : "131072");
  return {.severity = "ERROR",
          .sqlstate = "54000",
          .message = "query requires more than allowed temp space of " + size + " KB to execute"};
}

bool is_temporary_space(const ErrorFields& error) {
  return error['C'] == "53400" && error['M'].starts_with("temporary file size exceeds");
}

/// An entry that a btree page cannot hold.
bool is_wide_key(const ErrorFields& error) {
  return error['C'] == "54000" && error['M'].starts_with("index row ");
}

ErrorReport wide_key() {
  return {.severity = "ERROR", .sqlstate = "54000", .message = "key size too large"};
}

/// AWS IAM GRANT and REVOKE are no words of PostgreSQL's grammar, so it cannot refuse them by name.
bool is_iam_statement(const ErrorFields& error) {
  if (error['C'] != "42601") return false;
  return error['M'] == "syntax error at or near \"AWS\"" ||
         error['M'] == "syntax error at or near \"aws\"";
}

ErrorReport iam_not_yet() {
  return {.severity = "ERROR",
          .sqlstate = "0A000",
          .message = "AWS IAM GRANT and AWS IAM REVOKE are not supported yet"};
}

/// 57P01 to 57P05: shut down, crashed beside us, starting, database dropped, idle too long.
bool is_lost_backend(const ErrorFields& error) { return error['C'].starts_with("57P0"); }

}  // namespace

std::optional<ErrorReport> map_error(const ErrorFields& error) {
  if (is_catalogue_conflict(error)) return catalogue_conflict();
  if (is_temporary_space(error)) return temporary_space(error['M']);
  if (is_wide_key(error)) return wide_key();
  if (is_iam_statement(error)) return iam_not_yet();
  return std::nullopt;
}

std::optional<ErrorReport> map_login_error(const ErrorFields& error) {
  if (error['C'] == "53300") {
    return ErrorReport{.severity = "FATAL",
                       .sqlstate = "53300",
                       .message = "Unable to accept connection, too many open connections."};
  }
  if (is_lost_backend(error)) return server_unavailable("FATAL");
  return std::nullopt;
}

bool is_loss(const ErrorFields& error) { return is_lost_backend(error) || error['C'] == "25P03"; }

ErrorReport catalogue_conflict() {
  return {.severity = "ERROR",
          .sqlstate = "40001",
          .message = "schema has been updated by another transaction (OC001)"};
}

ErrorReport transaction_too_old(std::chrono::seconds age, std::chrono::seconds age_max) {
  const std::string limit = std::to_string(age_max.count()) + "s";
  return {
      .severity = "ERROR",
      .sqlstate = "54000",
      .message = "transaction age limit of " + limit + " exceeded",
      .detail = "Current transaction age " + std::to_string(age.count()) + "s exceeds " + limit};
}

ErrorReport server_unavailable(std::string_view severity) {
  return {.severity = std::string(severity), .sqlstate = "XX000", .message = "server unavailable"};
}

ErrorReport access_denied(std::string_view session_id, std::string_view hint) {
  ErrorReport out = not_accepted("access denied", session_id);
  out.hint = hint;
  return out;
}

ErrorReport not_accepted(std::string_view what, std::string_view session_id) {
  return {.severity = "FATAL",
          .sqlstate = "08006",
          .message = "unable to accept connection, " + std::string(what),
          .detail = "Session Id: " + std::string(session_id)};
}

}  // namespace zorya::router
