#include "function_kit/router.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace function_kit {
namespace {

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> segments;
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    segments.emplace_back(path.substr(0, end));
    path.remove_prefix(std::min(path.size(), end + 1));
  }
  return segments;
}

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Percent escapes undone; what is no escape stays as it is.
std::string decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    decoded += text[i];
  }
  return decoded;
}

std::size_t parameter_count(const std::vector<std::string>& pattern) {
  return static_cast<std::size_t>(std::count_if(pattern.begin(), pattern.end(), is_parameter));
}

std::optional<std::map<std::string, std::string>> match(const std::vector<std::string>& pattern,
                                                        const std::vector<std::string>& path) {
  if (pattern.size() != path.size()) return std::nullopt;
  std::map<std::string, std::string> parameters;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (is_parameter(pattern[i])) {
      parameters[pattern[i].substr(1, pattern[i].size() - 2)] = decode(path[i]);
    } else if (pattern[i] != path[i]) {
      return std::nullopt;
    }
  }
  return parameters;
}

std::string join(const std::set<std::string>& names) {
  std::string joined;
  for (const auto& name : names) joined.append(joined.empty() ? "" : ", ").append(name);
  return joined;
}

}  // namespace

Router& Router::on(std::string method, std::string_view pattern, Route route) {
  Entry entry{std::move(method), split(pattern), std::move(route)};
  // Kept in the order of trying: fewer parameters first, else as given.
  const auto place =
      std::upper_bound(entries_.begin(), entries_.end(), entry, [](const Entry& a, const Entry& b) {
        return parameter_count(a.segments) < parameter_count(b.segments);
      });
  entries_.insert(place, std::move(entry));
  return *this;
}

HttpResponse Router::route(HttpRequest request, const Context& context) const {
  const auto path = split(request.path);
  std::set<std::string> methods;
  for (const Entry& entry : entries_) {
    auto parameters = match(entry.segments, path);
    if (!parameters) continue;
    if (entry.method == request.method) {
      request.path_parameters = *std::move(parameters);
      return entry.route(request, context);
    }
    methods.insert(entry.method);
  }
  if (methods.empty()) return error_response(404, "Not found");
  HttpResponse response = error_response(405, "Method not allowed");
  response.headers["Allow"] = join(methods);
  return response;
}

Expected<std::string> Router::operator()(const std::string& event, const Context& context) const {
  auto request = parse_http_event(event);
  if (!request) return request.error();
  return to_event_answer(route(*std::move(request), context));
}

}  // namespace function_kit
