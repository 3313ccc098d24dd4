#include "checker.h"

#include "dependency_graph.h"
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>

namespace zorya::history {
namespace {

constexpr std::size_t kExamplesMax = 12;
constexpr TransactionIndex kNobody = 0xffffffffU;

TransactionIndex writer_of(Value value) {
  return static_cast<TransactionIndex>(value / kValuesPerTransaction);
}

/// The final order of one list, and the digest after each prefix.
struct FinalList {
  const std::vector<Value>* values = nullptr;
  std::vector<std::uint64_t> digests;  // [n]: of the first n values

  [[nodiscard]] bool has_prefix(std::uint32_t length, std::uint64_t digest) const {
    return length < digests.size() && digests[length] == digest;
  }
  /// The transaction that made the list `length` long; kNobody if it is empty.
  [[nodiscard]] TransactionIndex maker(std::uint32_t length) const {
    return length == 0 ? kNobody : writer_of((*values)[length - 1]);
  }
  [[nodiscard]] TransactionIndex next_writer(std::uint32_t length) const {
    return length < values->size() ? writer_of((*values)[length]) : kNobody;
  }
};

class Checker {
 public:
  explicit Checker(const History& history)
      : history_(history), graph_(static_cast<std::uint32_t>(history.transactions.size())) {}

  Findings run() {
    for (const std::string& oddity : history_.oddities) report("oddity", oddity);
    for (const auto& [key, list] : history_.lists) add_list(key, list);
    for (TransactionIndex i = 0; i < count(); ++i) note_outcome(i);
    for (const auto& [key, list] : lists_) order_writers(key, list);
    for (TransactionIndex i = 0; i < count(); ++i) look_at(i);
    add_times();
    look_for_cycles();
    return std::move(findings_);
  }

 private:
  [[nodiscard]] TransactionIndex count() const {
    return static_cast<TransactionIndex>(history_.transactions.size());
  }

  void report(const std::string& kind, const std::string& detail) {
    if (findings_.counts[kind]++ < 3 && findings_.examples.size() < kExamplesMax)
      findings_.examples.push_back(kind + ": " + detail);
  }

  void add_list(Key key, const std::vector<Value>& values) {
    FinalList& list = lists_[key];
    list.values = &values;
    list.digests.push_back(kEmptyDigest);
    for (const Value value : values) {
      list.digests.push_back(digest_with(list.digests.back(), value));
      if (!seen_.emplace(value, key).second)
        report("doubled value", fmt::format("{} is in a list twice (list {})", value, key));
    }
  }

  /// Everything acknowledged is there, nothing refused is; of an unknown outcome it is all or
  /// nothing.
  void note_outcome(TransactionIndex index) {
    const Transaction& transaction = history_.transactions[index];
    std::size_t appended = 0;
    std::size_t found = 0;
    for (const Operation& operation : transaction.operations) {
      if (operation.kind != Operation::Kind::kAppend) continue;
      ++appended;
      const auto place = seen_.find(operation.value);
      const bool there = place != seen_.end() && place->second == operation.key;
      found += there ? 1 : 0;
      if (there && transaction.outcome == Outcome::kAborted) {
        report("dirty write", fmt::format("T{} was refused, its value {} is in list {}", index,
                                          operation.value, operation.key));
      } else if (!there && transaction.outcome == Outcome::kCommitted) {
        report("lost update", fmt::format("T{} was acknowledged, its value {} is not in list {}",
                                          index, operation.value, operation.key));
      }
    }
    if (transaction.outcome == Outcome::kUnknown && found != 0 && found != appended)
      report("half a commit",
             fmt::format("T{}: {} of {} values are there", index, found, appended));
    committed_.push_back(transaction.outcome == Outcome::kCommitted ||
                         (transaction.outcome == Outcome::kUnknown && found > 0));
  }

  void order_writers(Key key, const FinalList& list) {
    TransactionIndex last = kNobody;
    for (const Value value : *list.values) {
      const TransactionIndex writer = writer_of(value);
      if (writer >= count()) {
        report("foreign value", fmt::format("{} in list {} is nobody's", value, key));
        continue;
      }
      if (writer != last && last != kNobody) graph_.add_dependency(last, writer);
      last = writer;
    }
  }

  void look_at(TransactionIndex index) {
    own_.clear();
    for (const Operation& operation : history_.transactions[index].operations) {
      if (operation.kind == Operation::Kind::kAppend) {
        own_[operation.key].push_back(operation.value);
      } else {
        look_at_read(index, operation);
      }
    }
  }

  void look_at_read(TransactionIndex index, const Operation& read) {
    const auto own = own_.find(read.key);
    const std::uint32_t own_length =
        own == own_.end() ? 0 : static_cast<std::uint32_t>(own->second.size());
    const auto found = lists_.find(read.key);
    static const std::vector<Value> no_values;
    static const FinalList no_list{&no_values, {kEmptyDigest}};
    const FinalList& list = found == lists_.end() ? no_list : found->second;
    const std::uint32_t length = read.length - std::min(read.length, own_length);
    if (!is_version(list, read, length, own_length == 0 ? no_values : own->second)) {
      return report("read of what never was",
                    fmt::format("T{} saw a list {} of {} values that is no part of its history",
                                index, read.key, read.length));
    }
    const TransactionIndex maker = list.maker(length);
    const TransactionIndex next = list.next_writer(length);
    if (maker != kNobody && maker == next && maker != index) {
      return report("read of half a transaction",
                    fmt::format("T{} saw some of T{}'s values in list {}", index, maker, read.key));
    }
    if (maker != kNobody && maker != index && maker < count()) graph_.add_dependency(maker, index);
    if (next == kNobody || next == index || next >= count()) return;
    if (read.kind == Operation::Kind::kLockedRead && committed_[index]) {
      // Both committed, so they were not concurrent, and this one did not see the other: it came
      // before.
      graph_.add_dependency(index, next);
    } else {
      graph_.add_antidependency(index, next);
    }
  }

  /// True if the read is the first `length` values of the list, and then what the transaction
  /// itself had appended.
  static bool is_version(const FinalList& list, const Operation& read, std::uint32_t length,
                         const std::vector<Value>& own) {
    if (length >= list.digests.size()) return false;
    std::uint64_t digest = list.digests[length];
    for (const Value value : own) digest = digest_with(digest, value);
    return digest == read.digest && read.length == length + own.size();
  }

  /// Who was acknowledged before another began came before it. A chain of moments stands for all
  /// these pairs.
  void add_times() {
    std::vector<TransactionIndex> ends;
    std::vector<TransactionIndex> begins;
    for (TransactionIndex i = 0; i < count(); ++i) {
      begins.push_back(i);
      if (history_.transactions[i].outcome == Outcome::kCommitted) ends.push_back(i);
    }
    const auto& all = history_.transactions;
    std::ranges::sort(ends, {}, [&](TransactionIndex i) { return all[i].ended_ns; });
    std::ranges::sort(begins, {}, [&](TransactionIndex i) { return all[i].began_ns; });
    std::uint32_t moment = kNobody;
    auto end = ends.begin();
    for (const TransactionIndex begin : begins) {
      for (; end != ends.end() && all[*end].ended_ns < all[begin].began_ns; ++end) {
        const std::uint32_t next = graph_.add_node();
        if (moment != kNobody) graph_.add_dependency(moment, next);
        graph_.add_dependency(*end, next);
        moment = next;
      }
      if (moment != kNobody) graph_.add_dependency(moment, begin);
    }
  }

  void look_for_cycles() {
    for (const auto& cycle : graph_.forbidden_cycles()) {
      std::vector<std::string> names;
      for (const std::uint32_t node : cycle) {
        if (node < count()) names.push_back(fmt::format("T{}", node));
      }
      report("forbidden cycle",
             fmt::format("{} of {} transactions: {}", names.size(), count(),
                         fmt::join(names.begin(),
                                   names.begin() + static_cast<std::ptrdiff_t>(
                                                       std::min<std::size_t>(names.size(), 12)),
                                   " ")));
    }
  }

  const History& history_;
  Findings findings_;
  DependencyGraph graph_;
  std::map<Key, FinalList> lists_;
  std::unordered_map<Value, Key> seen_;
  std::vector<bool> committed_;
  std::unordered_map<Key, std::vector<Value>> own_;
};

}  // namespace

Findings check(const History& history) { return Checker(history).run(); }

}  // namespace zorya::history
