#include "iam/policy.h"

#include <boost/json.hpp>

#include <algorithm>

namespace zorya::iam {
namespace {

namespace json = boost::json;

constexpr std::size_t kDocumentBytesMax = 64 << 10;

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

enum class Case { kMatters, kDoesNotMatter };

/// '*' is any run of characters, '?' is any one. Linear but for backtracking to the last '*'.
bool matches(std::string_view pattern, std::string_view text, Case letter_case) {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_text = 0;
  while (t < text.size()) {
    const bool same =
        p < pattern.size() && pattern[p] != '*' &&
        (pattern[p] == '?' || pattern[p] == text[t] ||
         (letter_case == Case::kDoesNotMatter && to_lower(pattern[p]) == to_lower(text[t])));
    if (same) {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool any_matches(const std::vector<std::string>& patterns, std::string_view text,
                 Case letter_case) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return matches(pattern, text, letter_case);
  });
}

base::Error invalid(std::string message) {
  return base::Error{base::Code::kInvalidArgument, "policy: " + std::move(message), {}};
}

base::Result<std::vector<std::string>> string_or_list(std::string_view name,
                                                      const json::value& value) {
  std::vector<std::string> out;
  if (value.is_string()) {
    out.emplace_back(value.get_string());
  } else if (value.is_array()) {
    for (const auto& item : value.get_array()) {
      if (!item.is_string()) return invalid(std::string(name) + " must hold strings only");
      out.emplace_back(item.get_string());
    }
  } else {
    return invalid(std::string(name) + " must be a string or a list of strings");
  }
  if (out.empty()) return invalid(std::string(name) + " must not be empty");
  return out;
}

base::Result<void> check_action(std::string_view action) {
  if (action == "*") return {};
  const std::size_t colon = action.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == action.size()) {
    return invalid("Action " + std::string(action) + " must have the form service:Name");
  }
  return {};
}

base::Result<void> check_resource(std::string_view resource) {
  if (resource == "*") return {};
  if (resource.substr(0, 4) != "arn:" || std::count(resource.begin(), resource.end(), ':') < 5) {
    return invalid("Resource " + std::string(resource) + " must be an ARN or \"*\"");
  }
  if (resource.find("${") != std::string_view::npos) {
    return base::Error{base::Code::kUnimplemented,
                       "policy: variables in Resource are not supported: " + std::string(resource),
                       {}};
  }
  return {};
}

base::Result<void> read_member(std::string_view name, const json::value& value, Statement& out) {
  if (name == "Sid") {
    if (!value.is_string()) return invalid("Sid must be a string");
  } else if (name == "Effect") {
    if (value != "Allow" && value != "Deny") return invalid("Effect must be Allow or Deny");
    out.allow = value == "Allow";
  } else if (name == "Action") {
    ZORYA_ASSIGN(out.actions, string_or_list(name, value));
    for (const auto& action : out.actions) ZORYA_TRY(check_action(action));
  } else if (name == "Resource") {
    ZORYA_ASSIGN(out.resources, string_or_list(name, value));
    for (const auto& resource : out.resources) ZORYA_TRY(check_resource(resource));
  } else if (name == "Condition" || name == "NotAction" || name == "NotResource" ||
             name == "Principal" || name == "NotPrincipal") {
    return base::Error{
        base::Code::kUnimplemented, "policy: " + std::string(name) + " is not supported", {}};
  } else {
    return invalid("unknown element " + std::string(name) + " in a statement");
  }
  return {};
}

base::Result<Statement> read_statement(const json::value& value) {
  if (!value.is_object()) return invalid("a statement must be an object");
  const auto& object = value.get_object();
  for (const std::string_view needed : {"Effect", "Action", "Resource"}) {
    // The forms we do not take are named as such below rather than as something that is missing.
    const bool other = needed != "Effect" && object.contains("Not" + std::string(needed));
    if (!object.contains(needed) && !other) {
      return invalid("a statement has no " + std::string(needed));
    }
  }
  Statement out;
  for (const auto& member : object) {
    ZORYA_TRY(read_member({member.key().data(), member.key().size()}, member.value(), out));
  }
  return out;
}

base::Result<void> check_version(const json::value& value) {
  if (value == "2012-10-17" || value == "2008-10-17") return {};
  return invalid("Version must be 2012-10-17 or 2008-10-17");
}

}  // namespace

Decision decide(const Identity& identity, std::string_view action, std::string_view resource) {
  Decision decision = Decision::kDeniedBySilence;
  for (const auto& statement : identity.policy) {
    if (!any_matches(statement.actions, action, Case::kDoesNotMatter)) continue;
    if (!any_matches(statement.resources, resource, Case::kMatters)) continue;
    if (!statement.allow) return Decision::kDeniedExplicitly;
    decision = Decision::kAllowed;
  }
  return decision;
}

bool is_allowed(const Identity& identity, std::string_view action, std::string_view resource) {
  return decide(identity, action, resource) == Decision::kAllowed;
}

base::Result<std::vector<Statement>> parse_policy(std::string_view text) {
  if (text.size() > kDocumentBytesMax) return invalid("document is longer than 64 KiB");
  json::error_code error;
  const json::value document = json::parse({text.data(), text.size()}, error);
  if (error) return invalid("not JSON: " + error.message());
  if (!document.is_object()) return invalid("document must be an object");
  std::vector<Statement> out;
  bool found = false;
  for (const auto& member : document.get_object()) {
    const std::string_view name{member.key().data(), member.key().size()};
    if (name == "Version") {
      ZORYA_TRY(check_version(member.value()));
    } else if (name == "Statement") {
      found = true;
      if (!member.value().is_array()) {
        ZORYA_ASSIGN(auto one, read_statement(member.value()));
        out.push_back(std::move(one));
        continue;
      }
      for (const auto& item : member.value().get_array()) {
        ZORYA_ASSIGN(auto one, read_statement(item));
        out.push_back(std::move(one));
      }
    } else if (name != "Id") {
      return invalid("unknown element " + std::string(name));
    }
  }
  if (!found || out.empty()) return invalid("document has no Statement");
  return out;
}

std::string policy_document(const std::vector<Statement>& statements) {
  json::array list;
  for (const auto& statement : statements) {
    json::array actions(statement.actions.begin(), statement.actions.end());
    json::array resources(statement.resources.begin(), statement.resources.end());
    list.push_back(json::object{{"Effect", statement.allow ? "Allow" : "Deny"},
                                {"Action", std::move(actions)},
                                {"Resource", std::move(resources)}});
  }
  return json::serialize(json::object{{"Version", "2012-10-17"}, {"Statement", std::move(list)}});
}

}  // namespace zorya::iam
