// One DsqlConnection of the function kit, as a function's author uses it, driven by lines of JSON:
//   zorya_dsql_tool ENDPOINT REGION PORT CA_FILE [AGE_MAX_MINUTES]
//   {"sql": "…", "parameters": ["…", null]}  →  {"columns": […], "rows": [[…]], "affected": 1}
//   {"close": true}                          →  {}
// or {"error": "…", "sqlstate": "…", "lost": false}. Ends with its input.
#include "function_kit/dsql.h"

#include <boost/json.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

namespace {

namespace json = boost::json;

json::value to_json(const function_kit::DsqlValue& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

json::object answer_of(const function_kit::Expected<function_kit::DsqlRows>& result) {
  if (!result) {
    const auto& error = result.error();
    return {
        {"error", error.message}, {"sqlstate", error.sqlstate}, {"lost", error.connection_lost}};
  }
  json::array columns;
  for (const auto& column : result->columns) columns.emplace_back(column);
  json::array rows;
  for (const auto& row : result->rows) {
    json::array& values = rows.emplace_back(json::array()).as_array();
    for (const auto& value : row) values.push_back(to_json(value));
  }
  return {
      {"columns", std::move(columns)}, {"rows", std::move(rows)}, {"affected", result->affected}};
}

json::object serve(function_kit::DsqlConnection& connection, const json::object& request) {
  if (request.contains("close")) {
    connection.close();
    return {};
  }
  std::vector<function_kit::DsqlValue> parameters;
  for (const json::value& value : request.at("parameters").as_array()) {
    if (value.is_null()) {
      parameters.emplace_back();
    } else {
      parameters.emplace_back(std::string(value.as_string()));
    }
  }
  return answer_of(connection.execute(std::string(request.at("sql").as_string()), parameters));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  function_kit::DsqlOptions options;
  options.endpoint = argv[1];
  options.region = argv[2];
  options.port = argv[3];
  options.ca_file = argv[4];
  if (argc > 5) options.age_max = std::chrono::minutes(std::atoi(argv[5]));
  function_kit::DsqlConnection connection(options);
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << json::serialize(serve(connection, json::parse(line).as_object())) << std::endl;
  }
}
