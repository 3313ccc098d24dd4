#pragma once

#include "function_kit/http_event.h"

#include "store.h"
#include <boost/json/object.hpp>

#include <optional>
#include <string>

namespace todos {

/// title and done of a body, those that are there.
struct Fields {
  std::optional<std::string> title;
  std::optional<bool> done;
};

/// The readers give an Error whose message is fit for a 400.
function_kit::Expected<Fields> read_fields(const function_kit::HttpRequest& request);
function_kit::Expected<std::string> read_id(const function_kit::HttpRequest& request);
function_kit::Expected<ListQuery> read_list_query(const function_kit::HttpRequest& request);

boost::json::object to_json(const Todo& todo);

}  // namespace todos
