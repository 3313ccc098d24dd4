// The todo manager of examples/todos in C++: one function behind an HTTP API, its rows in Aurora
// DSQL.

#include "function_kit/router.h"
#include "function_kit/runtime.h"

#include "requests.h"
#include "store.h"
#include <boost/json/array.hpp>

#include <cstdlib>
#include <memory>
#include <string>

namespace todos {
namespace {

using function_kit::Context;
using function_kit::Error;
using function_kit::error_response;
using function_kit::Expected;
using function_kit::HttpRequest;
using function_kit::HttpResponse;
using function_kit::json_response;

HttpResponse failed(const Context& context, const Error& error) {
  context.log.error(error.message, {{"sqlstate", error.sqlstate}});
  return error_response(500, "Internal server error");
}

/// The todo, 404 if there is none, 500 if the database said no.
HttpResponse answer(const Context& context, const HttpRequest& request,
                    const Expected<std::optional<Todo>>& todo) {
  if (!todo) return failed(context, todo.error());
  if (!*todo) return error_response(404, "no todo " + request.path_parameters.at("id"));
  return json_response(200, to_json(**todo));
}

HttpResponse create(Store& store, const HttpRequest& request, const Context& context) {
  auto fields = read_fields(request);
  if (!fields) return error_response(400, fields.error().message);
  if (!fields->title) return error_response(400, "title is required");
  auto todo = store.insert(*fields->title, fields->done.value_or(false));
  if (!todo) return failed(context, todo.error());
  if (!*todo) return error_response(500, "Internal server error");  // deleted since by another
  context.log.info("todo created", {{"todo_id", (*todo)->id}});
  return json_response(201, to_json(**todo));
}

HttpResponse list(Store& store, const HttpRequest& request, const Context& context) {
  auto query = read_list_query(request);
  if (!query) return error_response(400, query.error().message);
  const auto limit = static_cast<std::size_t>(query->limit);
  ++query->limit;  // one more than asked for tells whether there is a next page
  auto todos = store.list(*query);
  if (!todos) return failed(context, todos.error());
  boost::json::value next = nullptr;
  if (todos->size() > limit) {
    todos->resize(limit);
    next = todos->back().created_at + "_" + todos->back().id;
  }
  boost::json::array page;
  for (const auto& todo : *todos) page.push_back(to_json(todo));
  return json_response(200, boost::json::object{{"todos", std::move(page)}, {"next", next}});
}

HttpResponse get(Store& store, const HttpRequest& request, const Context& context) {
  auto id = read_id(request);
  if (!id) return error_response(400, id.error().message);
  return answer(context, request, store.find(*id));
}

HttpResponse change(Store& store, const HttpRequest& request, const Context& context) {
  auto id = read_id(request);
  if (!id) return error_response(400, id.error().message);
  auto fields = read_fields(request);
  if (!fields) return error_response(400, fields.error().message);
  if (!fields->title && !fields->done) return error_response(400, "title or done is required");
  return answer(context, request, store.change(*id, fields->title, fields->done));
}

HttpResponse erase(Store& store, const HttpRequest& request, const Context& context) {
  auto id = read_id(request);
  if (!id) return error_response(400, id.error().message);
  const HttpResponse response = answer(context, request, store.erase(*id));
  return response.status == 200 ? HttpResponse{.status = 204} : response;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Expected<function_kit::Handler> make_handler() {
  const std::string endpoint = variable("DSQL_ENDPOINT");
  if (endpoint.empty()) return Error{"Function.NoEndpoint", "DSQL_ENDPOINT is not set"};
  auto store = std::make_shared<Store>(
      function_kit::DsqlOptions{.endpoint = endpoint, .region = variable("AWS_REGION")});
  const auto with_store = [store](auto function) {
    return [store, function](const HttpRequest& request, const Context& context) {
      return function(*store, request, context);
    };
  };
  function_kit::Router router;
  router.on("POST", "/todos", with_store(create))
      .on("GET", "/todos", with_store(list))
      .on("GET", "/todos/{id}", with_store(get))
      .on("PUT", "/todos/{id}", with_store(change))
      .on("DELETE", "/todos/{id}", with_store(erase));
  return function_kit::Handler(router);
}

}  // namespace
}  // namespace todos

int main() { return function_kit::run(todos::make_handler); }
