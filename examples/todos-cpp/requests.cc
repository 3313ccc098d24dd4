#include "requests.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <string_view>

namespace todos {
namespace {

using function_kit::Error;
using function_kit::Expected;
using function_kit::HttpRequest;

constexpr std::size_t kTitleLengthMax = 200;
constexpr int kLimitMax = 100;

Error refuse(std::string why) { return {"Request.Refused", std::move(why)}; }

/// `text` against a pattern in which 0 stands for a digit and h for a hexadecimal digit.
bool fits(std::string_view text, std::string_view pattern) {
  return text.size() == pattern.size() &&
         std::equal(text.begin(), text.end(), pattern.begin(), [](char c, char p) {
           const auto byte = static_cast<unsigned char>(c);
           return p == '0' ? std::isdigit(byte) != 0 : p == 'h' ? std::isxdigit(byte) != 0 : c == p;
         });
}

bool is_uuid(std::string_view text) { return fits(text, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh"); }

int number(std::string_view digits) {
  int value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

bool is_timestamp(std::string_view text) {
  if (!fits(text, "0000-00-00T00:00:00.000000Z")) return false;
  const std::chrono::year_month_day day{
      std::chrono::year(number(text.substr(0, 4))),
      std::chrono::month(static_cast<unsigned>(number(text.substr(5, 2)))),
      std::chrono::day(static_cast<unsigned>(number(text.substr(8, 2))))};
  return day.ok() && number(text.substr(0, 4)) > 0 && number(text.substr(11, 2)) < 24 &&
         number(text.substr(14, 2)) < 60 && number(text.substr(17, 2)) < 60;
}

Expected<std::string> read_title(const boost::json::value& value) {
  const auto* text = value.if_string();
  // Characters, not bytes: those that do not continue another. The parser took well-formed UTF-8
  // only.
  const auto length = text == nullptr ? 0 : std::count_if(text->begin(), text->end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
  if (length < 1 || length > static_cast<long>(kTitleLengthMax)) {
    return refuse("title must be a text of 1 to 200 characters");
  }
  if (text->find('\0') != boost::json::string::npos) {
    return refuse("title holds a character that cannot be stored");
  }
  return std::string(*text);
}

std::string parameter(const HttpRequest& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? "" : found->second;
}

Expected<Cursor> read_cursor(std::string_view text) {
  const std::size_t mark = std::min(text.find('_'), text.size());
  const std::string_view time = text.substr(0, mark);
  const std::string_view id = text.substr(std::min(text.size(), mark + 1));
  if (!is_timestamp(time) || !is_uuid(id)) return refuse("after is not what next was");
  return Cursor{std::string(time), std::string(id)};
}

}  // namespace

Expected<Fields> read_fields(const HttpRequest& request) {
  auto body = request.json();
  if (!body) return refuse("the body is not JSON");
  const auto* object = body->if_object();
  if (object == nullptr) return refuse("the body must be a JSON object");
  Fields fields;
  if (const auto* title = object->if_contains("title"); title != nullptr) {
    auto text = read_title(*title);
    if (!text) return text.error();
    fields.title = *std::move(text);
  }
  if (const auto* done = object->if_contains("done"); done != nullptr) {
    if (!done->is_bool()) return refuse("done must be true or false");
    fields.done = done->get_bool();
  }
  return fields;
}

Expected<std::string> read_id(const HttpRequest& request) {
  const std::string& id = request.path_parameters.at("id");
  if (!is_uuid(id)) return refuse("the id is not a UUID");
  return id;
}

Expected<ListQuery> read_list_query(const HttpRequest& request) {
  ListQuery query;
  if (const std::string done = parameter(request, "done"); !done.empty()) {
    if (done != "true" && done != "false") return refuse("done must be true or false");
    query.done = done == "true";
  }
  if (const std::string limit = parameter(request, "limit"); !limit.empty()) {
    const bool digits =
        limit.size() <= 3 && limit.find_first_not_of("0123456789") == std::string::npos;
    query.limit = digits ? number(limit) : 0;
    if (query.limit < 1 || query.limit > kLimitMax) {
      return refuse("limit must be a number from 1 to 100");
    }
  }
  if (const std::string after = parameter(request, "after"); !after.empty()) {
    auto cursor = read_cursor(after);
    if (!cursor) return cursor.error();
    query.after = *std::move(cursor);
  }
  return query;
}

boost::json::object to_json(const Todo& todo) {
  return {{"id", todo.id},
          {"title", todo.title},
          {"done", todo.done},
          {"created_at", todo.created_at},
          {"updated_at", todo.updated_at}};
}

}  // namespace todos
