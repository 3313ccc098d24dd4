#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

namespace zorya::router {

/// Which of a session's prepared statements and portals answer with the id of a job, because ASYNC
/// is in their text: a Describe of them is to tell of that row. Beyond kCountMax names of each it
/// does not. Pure.
class AsyncNames {
 public:
  static constexpr std::size_t kCountMax = 1000;

  void note_statement(std::string_view name, bool is_async) { note(statements_, name, is_async); }
  void note_portal(std::string_view name, std::string_view statement) {
    note(portals_, name, statements_.contains(statement));
  }
  /// `kind`: 'S' for a statement, 'P' for a portal.
  void forget(char kind, std::string_view name) {
    note(kind == 'S' ? statements_ : portals_, name, false);
  }
  [[nodiscard]] bool contains(char kind, std::string_view name) const {
    return (kind == 'S' ? statements_ : portals_).contains(name);
  }
  [[nodiscard]] bool empty() const { return statements_.empty() && portals_.empty(); }

 private:
  using Names = std::set<std::string, std::less<>>;

  static void note(Names& names, std::string_view name, bool is_async) {
    if (!is_async) {
      if (const auto found = names.find(name); found != names.end()) names.erase(found);
    } else if (names.size() < kCountMax) {
      names.emplace(name);
    }
  }

  Names statements_;
  Names portals_;
};

}  // namespace zorya::router
