#include "gateway/routes.h"

#include "gateway/ids.h"
#include "http/target.h"

#include <algorithm>
#include <map>

namespace zorya::gateway {

using template_engine::RestApi;
using template_engine::Route;

/// One path of an API and the methods on it.
struct RouteTable::Resource {
  std::string path;
  std::string id;
  std::vector<std::string> parameter_names;  // in the order of the path
  std::vector<const Route*> methods;
};

struct RouteTable::Node {
  std::map<std::string, std::unique_ptr<Node>, std::less<>> statics;
  std::unique_ptr<Node> parameter;
  std::unique_ptr<Resource> greedy;    // {proxy+} here
  std::unique_ptr<Resource> resource;  // the path ends here
};

struct RouteTable::Api {
  RestApi api;
  Node root;
};

namespace {

// What ANY stands for; any other method has no route.
constexpr std::string_view kAnyMethods[] = {"DELETE", "GET",  "HEAD", "OPTIONS",
                                            "PATCH",  "POST", "PUT"};

std::string_view without_trailing_slashes(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return path;
}

std::string_view with_one_leading_slash(std::string_view path) {
  while (path.size() > 1 && path[0] == '/' && path[1] == '/') path.remove_prefix(1);
  return path;
}

/// "/a//b/" gives "a", "", "b"; "/" gives none.
std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  path = without_trailing_slashes(path);
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = path.find('/');
    segments.push_back(path.substr(0, end));
    path.remove_prefix(end == std::string_view::npos ? path.size() : end);
  }
  return segments;
}

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

bool is_greedy(std::string_view segment) {
  return is_parameter(segment) && segment[segment.size() - 2] == '+';
}

}  // namespace

RouteTable::RouteTable(std::vector<RestApi> apis) {
  for (RestApi& api : apis) {
    apis_.push_back(std::make_unique<Api>());
    apis_.back()->api = std::move(api);
    for (const Route& route : apis_.back()->api.routes) add(*apis_.back(), route);
  }
}

RouteTable::~RouteTable() = default;

void RouteTable::add(Api& api, const Route& route) {
  Node* node = &api.root;
  std::unique_ptr<Resource>* place = nullptr;
  std::vector<std::string> names;
  for (const std::string_view segment : split(route.path)) {
    if (is_greedy(segment)) {
      names.emplace_back(segment.substr(1, segment.size() - 3));
      place = &node->greedy;
      break;  // {proxy+} is the last one
    }
    std::unique_ptr<Node>* next = nullptr;
    if (is_parameter(segment)) {
      names.emplace_back(segment.substr(1, segment.size() - 2));
      next = &node->parameter;
    } else {
      next = &node->statics[std::string(segment)];
    }
    if (!*next) *next = std::make_unique<Node>();
    node = next->get();
  }
  if (place == nullptr) place = &node->resource;
  if (!*place) {
    *place = std::make_unique<Resource>();
    (*place)->path = route.path;
    (*place)->id = short_id(api.api.id + route.path);
    (*place)->parameter_names = std::move(names);
  }
  (*place)->methods.push_back(&route);
}

const RouteTable::Resource* RouteTable::find(const Node& node,
                                             const std::vector<std::string_view>& segments,
                                             std::size_t depth, std::string_view path,
                                             std::vector<std::string_view>& values) {
  if (depth == segments.size()) return node.resource.get();
  const std::string_view segment = segments[depth];
  auto next = node.statics.find(segment);
  if (next == node.statics.end() && segment.find('%') != std::string_view::npos) {
    next = node.statics.find(http::percent_decode(segment, http::Plus::kLiteral));
  }
  if (next != node.statics.end()) {
    if (const Resource* found = find(*next->second, segments, depth + 1, path, values)) {
      return found;
    }
  }
  if (node.parameter && !segment.empty()) {
    values.push_back(segment);
    if (const Resource* found = find(*node.parameter, segments, depth + 1, path, values)) {
      return found;
    }
    values.pop_back();
  }
  if (node.greedy) {
    const auto begin = static_cast<std::size_t>(segment.data() - path.data());
    values.push_back(without_trailing_slashes(path.substr(begin)));
    return node.greedy.get();
  }
  return nullptr;
}

std::optional<RouteMatch> RouteTable::match_api(const Api& api, std::string_view method,
                                                std::string_view path) {
  std::vector<std::string_view> values;
  const Resource* resource = find(api.root, split(path), 0, path, values);
  if (resource == nullptr) return std::nullopt;
  const Route* chosen = nullptr;
  const bool any_has_it =
      std::find(std::begin(kAnyMethods), std::end(kAnyMethods), method) != std::end(kAnyMethods);
  for (const Route* route : resource->methods) {
    if (route->method == method) chosen = route;
    if (route->method == "ANY" && any_has_it && chosen == nullptr) chosen = route;
  }
  if (chosen == nullptr) return std::nullopt;
  RouteMatch match;
  match.api = &api.api;
  match.route = chosen;
  match.resource = resource->path;
  match.resource_id = resource->id;
  match.path = path;
  for (std::size_t i = 0; i < values.size(); ++i) {
    match.parameters.push_back({resource->parameter_names[i], values[i]});
  }
  return match;
}

std::optional<RouteMatch> RouteTable::match(std::string_view method, std::string_view path) const {
  path = with_one_leading_slash(path);
  const std::size_t end = path.find('/', 1);
  const std::string_view first = path.substr(1, end == std::string_view::npos ? end : end - 1);
  const std::string_view rest = end == std::string_view::npos
                                    ? std::string_view("/")
                                    : with_one_leading_slash(path.substr(end));
  for (const auto& api : apis_) {
    if (first != api->api.stage) continue;
    if (auto match = match_api(*api, method, rest)) {
      match->stage_in_path = true;
      return match;
    }
  }
  for (const auto& api : apis_) {
    if (auto match = match_api(*api, method, path)) return match;
  }
  return std::nullopt;
}

}  // namespace zorya::gateway
