#pragma once

#include "function_kit/dsql.h"
#include "function_kit/retry.h"

#include <optional>
#include <string>
#include <vector>

namespace todos {

struct Todo {
  std::string id;
  std::string title;
  bool done = false;
  std::string created_at;  // 2026-11-20T10:00:00.123456Z
  std::string updated_at;
};

/// A place in the list: time and id of the last todo of a page.
struct Cursor {
  std::string created_at;
  std::string id;
};

struct ListQuery {
  std::optional<bool> done;
  int limit = 20;
  std::optional<Cursor> after;
};

/// The todos in a DSQL cluster. Each call is one statement, which is a transaction of its own and
/// is run again after a conflict or a broken connection: twice is as good as once.
class Store {
 public:
  explicit Store(function_kit::DsqlOptions options) : connection_(std::move(options)) {}

  function_kit::Expected<std::optional<Todo>> insert(const std::string& title, bool done);
  function_kit::Expected<std::vector<Todo>> list(const ListQuery& query);
  function_kit::Expected<std::optional<Todo>> find(const std::string& id);
  /// What is not given stays as it is.
  function_kit::Expected<std::optional<Todo>> change(const std::string& id,
                                                     const std::optional<std::string>& title,
                                                     std::optional<bool> done);
  /// The todo that was there.
  function_kit::Expected<std::optional<Todo>> erase(const std::string& id);

 private:
  using Rows = function_kit::Expected<function_kit::DsqlRows>;
  using Values = std::vector<function_kit::DsqlValue>;

  Rows run(const std::string& sql, const Values& values);
  Rows run_once(const std::string& sql, const Values& values);
  function_kit::Expected<std::optional<Todo>> run_for_one(const std::string& sql,
                                                          const Values& values);
  std::optional<function_kit::Error> make_schema();

  function_kit::DsqlConnection connection_;
  bool schema_made_ = false;
};

}  // namespace todos
