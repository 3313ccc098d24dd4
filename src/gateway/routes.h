#pragma once

#include "template_engine/plan.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace zorya::gateway {

struct PathParameter {
  std::string name;
  std::string_view value;  // still percent-encoded, as the service hands it on
};

/// Where a request goes. Borrows from the table and from the path that was matched.
struct RouteMatch {
  const template_engine::RestApi* api = nullptr;
  const template_engine::Route* route = nullptr;
  std::string_view resource;     // "/todos/{id}"
  std::string_view resource_id;  // six characters, the same for the same API and resource
  std::vector<PathParameter> parameters;
  std::string_view path;       // without the stage
  bool stage_in_path = false;  // the URL had the execute-api form: "/Prod/…"
};

/// The routes of all APIs, made once and then only read: any thread.
class RouteTable {
 public:
  explicit RouteTable(std::vector<template_engine::RestApi> apis);
  ~RouteTable();
  RouteTable(const RouteTable&) = delete;
  RouteTable& operator=(const RouteTable&) = delete;

  /// Per level a static segment beats {param}, which beats {proxy+}; the resource is found first,
  /// then its method, an explicit one before ANY. A path whose first segment is an API's stage has
  /// the execute-api form; any other is that of a custom domain mapped to the stage of the first
  /// API that has the route. Trailing slashes do not matter, doubled ones at the start collapse.
  /// `path` begins with "/".
  [[nodiscard]] std::optional<RouteMatch> match(std::string_view method,
                                                std::string_view path) const;

 private:
  struct Resource;
  struct Node;
  struct Api;

  static const Resource* find(const Node& node, const std::vector<std::string_view>& segments,
                              std::size_t depth, std::string_view path,
                              std::vector<std::string_view>& values);
  static std::optional<RouteMatch> match_api(const Api& api, std::string_view method,
                                             std::string_view path);
  static void add(Api& api, const template_engine::Route& route);

  std::vector<std::unique_ptr<Api>> apis_;
};

}  // namespace zorya::gateway
