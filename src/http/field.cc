#include "http/field.h"

namespace zorya::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool equals_ignoring_case(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (lower(left[i]) != lower(right[i])) return false;
  }
  return true;
}

std::string_view find_last(std::span<const FieldView> fields, std::string_view name) {
  for (std::size_t i = fields.size(); i > 0; --i) {
    if (!equals_ignoring_case(fields[i - 1].name, name)) continue;
    const std::string_view value = fields[i - 1].value;
    return value.data() == nullptr ? std::string_view("") : value;
  }
  return {};
}

bool is_token(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const bool alphanumeric = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
    if (!alphanumeric && std::string_view("!#$%&'*+-.^_`|~").find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

bool is_field_value(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) return false;
  }
  return true;
}

std::string_view first_media_type(std::string_view value) {
  return trim(value.substr(0, value.find_first_of(",;")));
}

bool media_type_matches(std::string_view pattern, std::string_view type) {
  if (pattern == "*/*") return true;
  if (pattern.ends_with("/*")) {
    const std::string_view family = pattern.substr(0, pattern.size() - 1);
    return type.size() > family.size() &&
           equals_ignoring_case(type.substr(0, family.size()), family);
  }
  return equals_ignoring_case(pattern, type);
}

}  // namespace zorya::http
