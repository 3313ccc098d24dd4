#include "template_engine/policies.h"

#include "template_engine/property_tables.h"

#include <algorithm>

namespace zorya::template_engine {
namespace {

// "a" or ["a", "b"]. What is neither has been refused when the result is empty.
std::vector<std::string> strings_of(const Value& statement, std::string_view key,
                                    const Place& place, Refusals& refusals) {
  std::vector<std::string> strings;
  const Value* value = statement.find(key);
  if (value == nullptr) {
    refusals.add(statement.position, place,
                 "Syntax errors in policy: the statement has no " + std::string(key));
    return strings;
  }
  const std::vector<Value> single = {*value};
  const std::vector<Value>& items = value->is_sequence() ? value->items : single;
  for (const Value& item : items) {
    if (item.kind == Kind::kFailed) continue;
    if (!item.is_scalar() || item.text.empty()) {
      refusals.add(item.position, place / key, "must be a string or a list of strings");
      continue;
    }
    if (key == "Action" && item.text != "*" && item.text.find(':') == std::string::npos) {
      refusals.add(item.position, place / key,
                   "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
      continue;
    }
    strings.push_back(item.text);
  }
  return strings;
}

void read_statement(const Value& value, const Place& place, Refusals& refusals,
                    std::vector<iam::Statement>& statements) {
  if (value.kind == Kind::kFailed) return;
  if (!value.is_mapping()) {
    refusals.add(value.position, place, "a policy statement must be a mapping");
    return;
  }
  check_members(value, statement_keys(), place, refusals);
  iam::Statement statement;
  const Value* effect = value.find("Effect");
  if (effect == nullptr || (effect->text != "Allow" && effect->text != "Deny")) {
    refusals.add(effect == nullptr ? value.position : effect->position, place / "Effect",
                 "Syntax errors in policy: Effect must be Allow or Deny");
  } else {
    statement.allow = effect->text == "Allow";
  }
  if (value.find("NotAction") == nullptr) {
    statement.actions = strings_of(value, "Action", place, refusals);
  }
  if (value.find("NotResource") == nullptr) {
    statement.resources = strings_of(value, "Resource", place, refusals);
  }
  statements.push_back(std::move(statement));
}

void read_document(const Value& document, const Place& place, Refusals& refusals,
                   std::vector<iam::Statement>& statements) {
  for (const Member& member : document.members) {
    if (member.name == "Statement" || member.name == "Id") continue;
    const bool known_version =
        member.value.text == "2012-10-17" || member.value.text == "2008-10-17";
    if (member.name == "Version" && known_version) continue;
    refusals.add(member.position, place / member.name,
                 member.name == "Version"
                     ? "Syntax errors in policy: Version must be 2012-10-17"
                     : "Syntax errors in policy: unknown element " + member.name);
  }
  const Value& list = *document.find("Statement");
  if (!list.is_sequence()) return read_statement(list, place / "Statement", refusals, statements);
  for (std::size_t index = 0; index < list.items.size(); ++index) {
    read_statement(list.items[index], place / ("Statement." + std::to_string(index)), refusals,
                   statements);
  }
}

void read_policy(const Value& policy, const Place& place, Refusals& refusals,
                 std::vector<iam::Statement>& statements) {
  if (policy.kind == Kind::kFailed) return;
  if (policy.is_scalar()) {
    refusals.add(policy.position, place,
                 "managed policy " + policy.text +
                     " is not supported yet: write what it allows as a policy statement");
  } else if (policy.is_mapping() && policy.find("Statement") != nullptr) {
    read_document(policy, place, refusals, statements);
  } else if (policy.is_mapping() && policy.members.size() == 1) {
    refusals.add(policy.members.front().position, place,
                 "policy template " + policy.members.front().name +
                     " is not supported yet: write what it allows as a policy statement");
  } else {
    refusals.add(policy.position, place, "must be a policy document with a Statement");
  }
}

}  // namespace

std::vector<iam::Statement> read_policies(const Value& policies, const Place& place,
                                          Refusals& refusals) {
  std::vector<iam::Statement> statements;
  if (!policies.is_sequence()) {
    read_policy(policies, place, refusals, statements);
    return statements;
  }
  for (std::size_t index = 0; index < policies.items.size(); ++index) {
    read_policy(policies.items[index], place / std::to_string(index), refusals, statements);
  }
  return statements;
}

}  // namespace zorya::template_engine
