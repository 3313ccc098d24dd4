#pragma once

#include <cstdint>
#include <vector>

namespace zorya::history {

/// Who must have come before whom. A *dependency* a → b says that b saw a, overwrote it, or began
/// after a had ended: in every snapshot that b reads, a is visible. An *anti-dependency* a → b says
/// that a did not see what b wrote.
class DependencyGraph {
 public:
  explicit DependencyGraph(std::uint32_t node_count) : node_count_(node_count) {}

  std::uint32_t add_node() { return node_count_++; }
  void add_dependency(std::uint32_t from, std::uint32_t to) { edges_.push_back({from, to, false}); }
  void add_antidependency(std::uint32_t from, std::uint32_t to) {
    edges_.push_back({from, to, true});
  }

  /// The strongly connected sets that hold a cycle in which no two anti-dependencies follow each
  /// other; snapshot isolation has none. Linear in nodes and edges.
  [[nodiscard]] std::vector<std::vector<std::uint32_t>> forbidden_cycles() const;

 private:
  struct Edge {
    std::uint32_t from;
    std::uint32_t to;
    bool anti;
  };

  std::uint32_t node_count_;
  std::vector<Edge> edges_;
};

}  // namespace zorya::history
