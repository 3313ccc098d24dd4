#include "template_engine/circles.h"

#include <algorithm>

namespace zorya::template_engine {
namespace {

std::set<std::string> reachable_from(const std::string& start, const References& references) {
  std::set<std::string> reached;
  std::vector<std::string> open = {start};
  while (!open.empty()) {
    const std::string name = std::move(open.back());
    open.pop_back();
    const auto edges = references.find(name);
    if (edges == references.end()) continue;
    for (const std::string& next : edges->second) {
      if (reached.insert(next).second) open.push_back(next);
    }
  }
  return reached;
}

}  // namespace

std::vector<std::vector<std::string>> find_circles(const References& references) {
  std::map<std::string, std::set<std::string>> reachable;
  for (const auto& [name, edges] : references) reachable[name] = reachable_from(name, references);
  std::vector<std::vector<std::string>> circles;
  std::set<std::string> told;
  for (const auto& [name, reached] : reachable) {
    if (!reached.contains(name) || told.contains(name)) continue;
    std::vector<std::string> circle;
    for (const std::string& other : reached) {
      const auto back = reachable.find(other);
      if (back != reachable.end() && back->second.contains(name)) circle.push_back(other);
    }
    told.insert(circle.begin(), circle.end());
    circles.push_back(std::move(circle));
  }
  return circles;
}

}  // namespace zorya::template_engine
