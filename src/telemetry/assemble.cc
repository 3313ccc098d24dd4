#include "telemetry/segment.h"

#include <algorithm>
#include <unordered_map>

namespace zorya::telemetry {
namespace {

// Documents hung below each other; a longer chain is cut and goes on as a root. Anybody may send
// documents, and whoever walks the tree recurses.
constexpr std::size_t kDepthMax = 64;

void index_ids(const Segment& segment, std::size_t document,
               std::unordered_map<std::string, std::size_t>& owner) {
  owner.try_emplace(segment.id, document);
  for (const Segment& child : segment.children) index_ids(child, document, owner);
}

Segment* find_segment(Segment& segment, const std::string& id) {
  if (segment.id == id) return &segment;
  for (Segment& child : segment.children) {
    if (Segment* found = find_segment(child, id)) return found;
  }
  return nullptr;
}

void sort_by_start(std::vector<Segment>& segments) {
  std::stable_sort(segments.begin(), segments.end(),
                   [](const Segment& a, const Segment& b) { return a.start < b.start; });
  for (Segment& segment : segments) sort_by_start(segment.children);
}

/// Which document each hangs below: only links that lead to no circle are kept.
std::vector<std::size_t> choose_parents(const std::vector<Segment>& documents) {
  std::unordered_map<std::string, std::size_t> owner;
  for (std::size_t i = 0; i < documents.size(); ++i) index_ids(documents[i], i, owner);
  std::vector<std::size_t> parent(documents.size(), documents.size());
  for (std::size_t i = 0; i < documents.size(); ++i) {
    const auto found = owner.find(documents[i].parent_id);
    if (documents[i].parent_id.empty() || found == owner.end()) continue;
    std::size_t above = found->second;
    while (above != documents.size() && above != i) above = parent[above];
    if (above != i) parent[i] = found->second;
  }
  return parent;
}

}  // namespace

std::vector<Segment> assemble_trace(std::vector<Segment> documents) {
  std::vector<std::size_t> parent = choose_parents(documents);
  std::vector<std::vector<std::size_t>> below(documents.size());
  std::vector<std::size_t> order;  // parents before what hangs below them
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (parent[i] == documents.size()) {
      order.push_back(i);
    } else {
      below[parent[i]].push_back(i);
    }
  }
  std::vector<std::size_t> depth(documents.size(), 0);
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (const std::size_t child : below[order[i]]) {
      depth[child] = depth[order[i]] + 1;
      if (depth[child] > kDepthMax) {
        parent[child] = documents.size();
        depth[child] = 0;
      }
      order.push_back(child);
    }
  }
  // From the leaves up, so that each moves with all that hangs below it.
  for (std::size_t i = order.size(); i > 0; --i) {
    const std::size_t document = order[i - 1];
    if (parent[document] == documents.size()) continue;
    Segment* target = find_segment(documents[parent[document]], documents[document].parent_id);
    if (target != nullptr) target->children.push_back(std::move(documents[document]));
  }
  std::vector<Segment> roots;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (parent[i] == documents.size()) roots.push_back(std::move(documents[i]));
  }
  sort_by_start(roots);
  return roots;
}

}  // namespace zorya::telemetry
