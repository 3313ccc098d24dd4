#include "dependency_graph.h"

#include <algorithm>

namespace zorya::history {
namespace {

constexpr std::uint32_t kUnvisited = 0xffffffffU;

/// Tarjan's algorithm without recursion, on *states*: a node and whether the walk came to it by an
/// anti-dependency. A walk leaves such a state by a dependency only, so that a cycle of states is a
/// cycle without two adjacent anti-dependencies.
class StateWalk {
 public:
  struct Target {
    std::uint32_t node;
    bool anti;
  };

  StateWalk(const std::vector<std::uint32_t>& first, const std::vector<Target>& targets)
      : first_(first),
        targets_(targets),
        order_(2 * (first.size() - 1), kUnvisited),
        low_(order_.size()),
        open_(order_.size(), false) {}

  std::vector<std::vector<std::uint32_t>> run() {
    // By-anti states are reached from others or not at all: a walk need not start there.
    for (std::uint32_t state = 0; state < order_.size(); state += 2) {
      if (order_[state] == kUnvisited) walk_from(state);
    }
    return std::move(cycles_);
  }

 private:
  struct Frame {
    std::uint32_t state;
    std::uint32_t next_edge;
  };

  void enter(std::uint32_t state) {
    order_[state] = low_[state] = next_order_++;
    open_[state] = true;
    component_.push_back(state);
    frames_.push_back({state, first_[state / 2]});
  }

  void walk_from(std::uint32_t start) {
    enter(start);
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      const std::uint32_t state = frame.state;
      if (frame.next_edge < first_[state / 2 + 1]) {
        follow(state, targets_[frame.next_edge++]);
      } else {
        leave(state);
      }
    }
  }

  void follow(std::uint32_t state, const Target& target) {
    if (target.anti && state % 2 == 1) return;
    const std::uint32_t next = 2 * target.node + (target.anti ? 1 : 0);
    if (order_[next] == kUnvisited) {
      enter(next);
    } else if (open_[next]) {
      low_[state] = std::min(low_[state], order_[next]);
    }
  }

  void leave(std::uint32_t state) {
    frames_.pop_back();
    if (!frames_.empty())
      low_[frames_.back().state] = std::min(low_[frames_.back().state], low_[state]);
    if (low_[state] != order_[state]) return;
    std::vector<std::uint32_t> nodes;
    std::uint32_t member = 0;
    do {
      member = component_.back();
      component_.pop_back();
      open_[member] = false;
      nodes.push_back(member / 2);
    } while (member != state);
    // No edge leads from a node to itself, so a set of one state has no cycle.
    if (nodes.size() == 1) return;
    std::ranges::sort(nodes);
    nodes.erase(std::ranges::unique(nodes).begin(), nodes.end());
    cycles_.push_back(std::move(nodes));
  }

  const std::vector<std::uint32_t>& first_;
  const std::vector<Target>& targets_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> low_;
  std::vector<bool> open_;
  std::vector<std::uint32_t> component_;
  std::vector<Frame> frames_;
  std::vector<std::vector<std::uint32_t>> cycles_;
  std::uint32_t next_order_ = 0;
};

}  // namespace

std::vector<std::vector<std::uint32_t>> DependencyGraph::forbidden_cycles() const {
  std::vector<std::uint32_t> first(node_count_ + 1, 0);
  for (const Edge& edge : edges_) ++first[edge.from + 1];
  for (std::uint32_t node = 0; node < node_count_; ++node) first[node + 1] += first[node];
  std::vector<StateWalk::Target> targets(edges_.size());
  std::vector<std::uint32_t> next(first.begin(), first.end() - 1);
  for (const Edge& edge : edges_) targets[next[edge.from]++] = {edge.to, edge.anti};
  return StateWalk(first, targets).run();
}

}  // namespace zorya::history
