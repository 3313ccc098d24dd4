#include "cli/database_control.h"

#include "base/json_fields.h"

#include <boost/json.hpp>

#include <algorithm>

namespace zorya::cli {
namespace {

namespace json = boost::json;
using base::text_of;

constexpr std::chrono::milliseconds kLookPatience{500};
constexpr std::chrono::seconds kForcePatience{5};

constexpr const char* kCommitPathSql =
    "SELECT json_build_object("
    "'figures', (SELECT row_to_json(s) FROM sys.commit_stats s),"
    "'conflicts', (SELECT coalesce(json_agg(c), '[]') FROM sys.conflict_stats c),"
    "'times', (SELECT coalesce(json_agg(t), '[]') FROM sys.commit_times t))";

/// `nullif`: an empty text stands for any table.
constexpr const char* kFailSql =
    "SELECT json_build_object('id', zorya.fail_commits($1, nullif($2, '')::regclass, $3::int))";
constexpr const char* kDropSql =
    "SELECT json_build_object('id', zorya.drop_connections($1, nullif($2, '')::regclass, $3::int))";
constexpr const char* kStatementSql =
    "SELECT json_build_object('id', zorya.fail_statements(nullif($1, '')::regclass, $2::int))";
constexpr const char* kListSql =
    "SELECT json_build_object('forced', coalesce(json_agg(f ORDER BY id), '[]'))"
    " FROM zorya.forced_outcomes() f";
constexpr const char* kResetSql =
    "SELECT json_build_object('forgotten', zorya.reset_forced_outcomes())";

base::Result<std::string> ask_to_force(const cluster::Clusters& clusters, std::string_view id,
                                       const ForceArguments& arguments) {
  if (arguments.what == "list") return clusters.ask(id, kListSql, {}, kForcePatience);
  if (arguments.what == "reset") return clusters.ask(id, kResetSql, {}, kForcePatience);
  const std::string count = std::to_string(arguments.count);
  if (arguments.what == "drop") {
    return clusters.ask(id, kDropSql, {arguments.at, arguments.table, count}, kForcePatience);
  }
  if (arguments.what == "OC001" && arguments.at == "statement") {
    return clusters.ask(id, kStatementSql, {arguments.table, count}, kForcePatience);
  }
  const std::string outcome = arguments.what == "too-old" ? "too_old" : arguments.what;
  return clusters.ask(id, kFailSql, {outcome, arguments.table, count}, kForcePatience);
}

}  // namespace

std::string commit_path_json(const cluster::Clusters& clusters, std::string_view id) {
  const auto told = clusters.ask(id, kCommitPathSql, {}, kLookPatience);
  if (told) return *told;
  return json::serialize(json::object{{"reason", told.error().message}});
}

std::string force_text(const ForceArguments& arguments) {
  return json::serialize(json::object{{"what", arguments.what},
                                      {"table", arguments.table},
                                      {"at", arguments.at},
                                      {"count", arguments.count}});
}

base::Result<ForceArguments> parse_force(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) {
    return base::Error{base::Code::kInvalidArgument, "a force request must be a JSON object", {}};
  }
  const json::object& object = value.as_object();
  ForceArguments arguments;
  arguments.what = text_of(object, "what");
  arguments.table = text_of(object, "table");
  arguments.at = text_of(object, "at");
  if (const json::value* count = object.if_contains("count"); count && count->is_int64()) {
    arguments.count = count->as_int64();
  }
  return arguments;
}

base::Result<std::string> force(const cluster::Clusters& clusters, std::string_view id,
                                const ForceArguments& arguments) {
  auto answer = ask_to_force(clusters, id, arguments);
  // PostgreSQL breaks lines between rows; the control socket's answer is one line.
  if (answer) std::replace(answer->begin(), answer->end(), '\n', ' ');
  return answer;
}

}  // namespace zorya::cli
