#include "template_engine/parameters.h"

#include "template_engine/property_tables.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <regex>

namespace zorya::template_engine {
namespace {

constexpr std::size_t kMaxParameters = 200;
constexpr std::size_t kMaxValueBytes = 4096;
constexpr std::size_t kMaxPatternBytes = 1024;
// libstdc++'s breadth-first matcher: no pattern takes exponential time (and none has
// back-references).
constexpr auto kRegexSyntax = std::regex::ECMAScript | std::regex_constants::__polynomial;

struct Declaration {
  const std::string& name;
  const Value& body;
  Place place;
  Refusals& refusals;

  [[nodiscard]] const Value* key(std::string_view key_name) const { return body.find(key_name); }
  void refuse(Position position, std::string message) const {
    refusals.add(position, place, std::move(message));
  }
};

bool is_list_type(std::string_view type) {
  return type == "CommaDelimitedList" || type == "List<String>" || type == "List<Number>";
}

bool is_number(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  const std::string copy(text);
  char* end = nullptr;
  std::strtod(copy.c_str(), &end);
  return end == copy.c_str() + copy.size() &&
         copy.find_first_not_of("0123456789+-.eE") == copy.npos;
}

// Items of a list are separated by commas, and the spaces around them do not count.
std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (true) {
    const std::size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    items.emplace_back(item);
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

std::optional<double> limit_of(const Declaration& declaration, std::string_view key) {
  const Value* value = declaration.key(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_scalar() || !is_number(value->text)) {
    declaration.refuse(value->position, std::string(key) + " must be a number");
    return std::nullopt;
  }
  return std::strtod(value->text.c_str(), nullptr);
}

// The words of the service for a value that a constraint does not let through.
std::string constraint_words(const Declaration& declaration, const std::string& shown,
                             const std::string& reason) {
  const Value* described = declaration.key("ConstraintDescription");
  if (described != nullptr && described->is_scalar()) {
    return "Parameter " + declaration.name + " failed to satisfy constraint: " + described->text;
  }
  return "Parameter '" + declaration.name + "'" + shown + " " + reason;
}

void check_item(const Declaration& declaration, std::string_view item, const std::string& shown,
                Position position) {
  const auto refuse = [&](const std::string& reason) {
    declaration.refuse(position, constraint_words(declaration, shown, reason));
  };
  if (const Value* allowed = declaration.key("AllowedValues")) {
    const bool listed =
        allowed->is_sequence() &&
        std::any_of(allowed->items.begin(), allowed->items.end(),
                    [&](const Value& one) { return one.is_scalar() && one.text == item; });
    if (!allowed->is_sequence()) {
      declaration.refuse(allowed->position, "AllowedValues must be a list");
    } else if (!listed) {
      refuse("must be one of AllowedValues");
    }
  }
  if (const Value* pattern = declaration.key("AllowedPattern"); pattern != nullptr) {
    if (!pattern->is_scalar() || pattern->text.size() > kMaxPatternBytes) {
      declaration.refuse(pattern->position, "AllowedPattern must be a regular expression");
      return;
    }
    try {
      if (!std::regex_match(std::string(item), std::regex(pattern->text, kRegexSyntax))) {
        refuse("must match pattern " + pattern->text);
      }
    } catch (const std::regex_error&) {
      declaration.refuse(pattern->position,
                         "AllowedPattern is not a regular expression that is read here");
    }
  }
}

void check_limits(const Declaration& declaration, const std::string& type, const std::string& text,
                  const std::string& shown, Position position) {
  const auto refuse = [&](const std::string& reason) {
    declaration.refuse(position, constraint_words(declaration, shown, reason));
  };
  const auto length = static_cast<double>(text.size());
  if (const auto least = limit_of(declaration, "MinLength"); least && length < *least) {
    refuse("must contain at least " + declaration.key("MinLength")->text + " characters");
  }
  if (const auto most = limit_of(declaration, "MaxLength"); most && length > *most) {
    refuse("must contain at most " + declaration.key("MaxLength")->text + " characters");
  }
  if (type != "Number" || !is_number(text)) return;
  const double number = std::strtod(text.c_str(), nullptr);
  if (const auto least = limit_of(declaration, "MinValue"); least && number < *least) {
    refuse("must be a number not less than " + declaration.key("MinValue")->text);
  }
  if (const auto most = limit_of(declaration, "MaxValue"); most && number > *most) {
    refuse("must be a number not greater than " + declaration.key("MaxValue")->text);
  }
}

Value typed_value(const Declaration& declaration, const std::string& type, const std::string& text,
                  Position position) {
  const Value* no_echo = declaration.key("NoEcho");
  const bool hidden = no_echo != nullptr && as_boolean(*no_echo).value_or(true);
  const std::string shown = hidden ? "" : " value '" + text + "'";
  if (text.size() > kMaxValueBytes) {
    declaration.refuse(position, "a parameter value has at most 4,096 bytes");
  }
  check_limits(declaration, type, text, shown, position);
  const bool numbers = type == "Number" || type == "List<Number>";
  const std::vector<std::string> items =
      is_list_type(type) ? split_list(text) : std::vector<std::string>{text};
  for (const std::string& item : items) {
    if (numbers && !is_number(item)) {
      declaration.refuse(position,
                         "Parameter '" + declaration.name + "'" + shown + " must be a number");
    }
    check_item(declaration, item, shown, position);
  }
  if (!is_list_type(type)) return make_scalar(text, position);
  Value list(Kind::kSequence, position);
  for (const std::string& item : items) list.items.push_back(make_scalar(item, position));
  return list;
}

std::optional<std::string> type_of(const Declaration& declaration) {
  const Value* type = declaration.key("Type");
  if (type == nullptr || !type->is_scalar()) {
    declaration.refuse(
        declaration.body.position,
        "Template format error: Every Parameters object must contain a Type member.");
    return std::nullopt;
  }
  constexpr std::array<std::string_view, 5> kTypes = {"String", "Number", "CommaDelimitedList",
                                                      "List<String>", "List<Number>"};
  if (std::find(kTypes.begin(), kTypes.end(), type->text) == kTypes.end()) {
    declaration.refuse(type->position, "parameter type " + type->text + " is not supported yet");
    return std::nullopt;
  }
  return type->text;
}

Value read_parameter(const Declaration& declaration, const ParameterValues& given) {
  check_members(declaration.body, parameter_keys(), declaration.place, declaration.refusals);
  Value failed(Kind::kFailed, declaration.body.position);
  const auto type = type_of(declaration);
  if (!type) return failed;
  if (const auto found = given.find(declaration.name); found != given.end()) {
    return typed_value(declaration, *type, found->second, declaration.body.position);
  }
  const Value* fallback = declaration.key("Default");
  if (fallback == nullptr) {
    declaration.refuse(declaration.body.position, "Parameters: [" + declaration.name +
                                                      "] must have values: it has no Default and "
                                                      "none was given");
    return failed;
  }
  if (!fallback->is_scalar()) {
    declaration.refuse(fallback->position,
                       "Template format error: Every Default member must be a string.");
    return failed;
  }
  return typed_value(declaration, *type, fallback->text, fallback->position);
}

}  // namespace

void read_parameters(const Value* section, const ParameterValues& given, Resolver& resolver,
                     Refusals& refusals) {
  const Place place{{}, "Parameters"};
  if (section != nullptr && !section->is_mapping()) {
    refusals.add(section->position, place, "must be a mapping");
    return;
  }
  if (section != nullptr && section->members.size() > kMaxParameters) {
    refusals.add(section->position, place, "more than 200 parameters");
  }
  for (const auto& [name, value] : given) {
    if (section == nullptr || section->find(name) == nullptr) {
      refusals.add({}, place / name, "Parameters: [" + name + "] do not exist in the template");
    }
  }
  if (section == nullptr) return;
  for (const Member& member : section->members) {
    if (!member.value.is_mapping()) {
      refusals.add(member.position, place / member.name, "must be a mapping");
      resolver.set_parameter(member.name, Value(Kind::kFailed));
      continue;
    }
    const Declaration declaration{member.name, member.value, place / member.name, refusals};
    resolver.set_parameter(member.name, read_parameter(declaration, given));
  }
}

}  // namespace zorya::template_engine
