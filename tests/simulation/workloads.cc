#include "workloads.h"

#include <array>
#include <set>

namespace zorya::simulation {
namespace {

using adjudicator::LockClass;

enum Table { kGeneral = 100, kRing, kBank, kUnique, kParent, kKid, kShift, kLimits };

Key row(Table table, int number) {
  Value value;
  value.type = Value::Type::kInteger;
  value.number = number;
  return {table, 0, {value}};
}

/// Any keys in any classes, in any notation: nothing but the oracle knows what must come of it.
class General final : public Workload {
 public:
  [[nodiscard]] const char* name() const override { return "general"; }
  void run(Deeds* deeds, Dice& dice) override {
    if (dice.one_in(12)) return fill(deeds, dice);
    // Few keys each, so that one forgotten is not hidden behind one remembered. Some only mark.
    const bool marks = dice.one_in(3);
    for (int count = 1 + dice.below(3); count > 0; --count) {
      const LockClass lock_class =
          marks && !dice.one_in(4) ? LockClass::kKeyShare : some_class(dice);
      deeds->use(some_key(dice), lock_class);
    }
  }

 private:
  /// Most of its keys are met nowhere else: it is there to fill the memory.
  static void fill(Deeds* deeds, Dice& dice) {
    for (int count = 20 + dice.below(60); count > 0; --count) {
      Key key = dice.one_in(20) ? some_key(dice) : row(kGeneral, 100 + dice.below(100'000));
      deeds->use(std::move(key), some_class(dice));
    }
  }
  static LockClass some_class(Dice& dice) {
    return static_cast<LockClass>(dice.below(adjudicator::kLockClassCount));
  }
  static Key some_key(Dice& dice) {
    // A space for each type, one of two columns, and one in which nulls are equal. Half the time
    // one of four keys, so that several in flight meet.
    const int space = dice.one_in(2) ? 1 : dice.below(7);
    if (space < 5) {
      const auto type = static_cast<Value::Type>(space);
      return {kGeneral, space, {some_value(type, dice.below(4), dice)}};
    }
    Key key{kGeneral, space, {some_value(Value::Type::kNumeric, dice.below(3), dice), {}}};
    if (space == 5 || dice.one_in(2)) {
      key.values[1] = some_value(Value::Type::kCaselessText, dice.below(2), dice);
    }
    return key;
  }
};

/// Nodes in one ring; each transaction swaps two neighbours. A lost update breaks the ring.
class Ring final : public Workload {
 public:
  Ring() {
    for (int n = 0; n < kNodes; ++n) next_[index(n)] = Versioned<int>((n + 1) % kNodes);
  }
  [[nodiscard]] const char* name() const override { return "ring"; }
  void run(Deeds* deeds, Dice& dice) override {
    const auto next = [&](int node) { return next_[index(node)].at(deeds->snapshot); };
    const int a = dice.below(kNodes);
    const int b = next(a);
    const int c = next(b);
    const int d = next(c);
    set(deeds, a, c);
    set(deeds, c, b);
    set(deeds, b, d);
  }
  [[nodiscard]] std::string wrong() const override {
    int node = 0;
    for (int n = 0; n < kNodes; ++n) {
      node = next_[index(node)].now();
      if (node == 0 && n + 1 < kNodes) return "the ring closes after " + std::to_string(n + 1);
    }
    return node == 0 ? "" : "the ring does not close";
  }

 private:
  static constexpr int kNodes = 9;
  static std::size_t index(int node) { return static_cast<std::size_t>(node); }
  void set(Deeds* deeds, int node, int to) {
    deeds->use(row(kRing, node), LockClass::kNoKeyUpdate);
    deeds->on_commit.emplace_back(
        [this, node, to](Moment now) { next_[index(node)].set(now, to); });
  }
  std::array<Versioned<int>, kNodes> next_;
};

/// Transfers between accounts; the sum stays.
class Bank final : public Workload {
 public:
  [[nodiscard]] const char* name() const override { return "bank"; }
  void run(Deeds* deeds, Dice& dice) override {
    const int from = dice.below(kAccounts);
    const int to = (from + 1 + dice.below(kAccounts - 1)) % kAccounts;
    const int amount = 1 + dice.below(9);
    set(deeds, from, balance(from, deeds->snapshot) - amount);
    set(deeds, to, balance(to, deeds->snapshot) + amount);
  }
  [[nodiscard]] std::string wrong() const override {
    int sum = 0;
    for (const auto& account : balance_) sum += account.now();
    return sum == 0 ? "" : "the sum of all accounts is " + std::to_string(sum);
  }

 private:
  static constexpr int kAccounts = 7;
  [[nodiscard]] int balance(int account, Moment moment) const {
    return balance_[static_cast<std::size_t>(account)].at(moment);
  }
  void set(Deeds* deeds, int account, int to) {
    deeds->use(row(kBank, account), LockClass::kNoKeyUpdate);
    deeds->on_commit.emplace_back([this, account, to](Moment now) {
      balance_[static_cast<std::size_t>(account)].set(now, to);
    });
  }
  std::array<Versioned<int>, kAccounts> balance_;
};

/// Rows with a value that a partial unique index holds while the row is active. Deletes and updates
/// leave no entry of the old value; the row itself tells.
class Unique final : public Workload {
 public:
  [[nodiscard]] const char* name() const override { return "unique"; }
  void run(Deeds* deeds, Dice& dice) override {
    const int number = dice.below(kRows);
    const Row before = rows_[static_cast<std::size_t>(number)].at(deeds->snapshot);
    Row after = before;
    if (!before.exists) {
      after = {true, !dice.one_in(3), some(dice)};
    } else if (dice.one_in(3)) {
      after.exists = false;
    } else if (dice.one_in(2)) {
      after.active = !before.active;
    } else {
      after.value = some(dice);
    }
    if (entered(after) && taken(number, after.value, deeds->snapshot)) return;  // 23505
    // A column of a partial index is no key column.
    deeds->use(row(kUnique, number),
               before.exists && after.exists ? LockClass::kNoKeyUpdate : LockClass::kUpdate);
    if (entered(after) && !(entered(before) && equal(before.value, after.value))) {
      deeds->use({kUnique, 1, {after.value}}, LockClass::kUpdate);
    }
    deeds->on_commit.emplace_back([this, number, after](Moment now) {
      rows_[static_cast<std::size_t>(number)].set(now, after);
    });
  }
  [[nodiscard]] std::string wrong() const override {
    for (int number = 0; number < kRows; ++number) {
      const Row& one = rows_[static_cast<std::size_t>(number)].now();
      if (entered(one) && taken(number, one.value, kNever)) {
        return "a unique value twice: " + to_text(Key{kUnique, 1, {one.value}});
      }
    }
    return {};
  }

 private:
  static constexpr int kRows = 10;
  struct Row {
    bool exists = false;
    bool active = false;
    Value value;
  };
  static Value some(Dice& dice) {
    constexpr Value::Type kTypes[] = {Value::Type::kNumeric, Value::Type::kFloat,
                                      Value::Type::kPaddedText, Value::Type::kCaselessText};
    return some_value(dice.of(kTypes), dice.below(3), dice);
  }
  static bool entered(const Row& one) { return one.exists && one.active; }
  [[nodiscard]] bool taken(int number, const Value& value, Moment moment) const {
    for (int other = 0; other < kRows; ++other) {
      const Row& one = rows_[static_cast<std::size_t>(other)].at(moment);
      if (other != number && entered(one) && equal(one.value, value)) return true;
    }
    return false;
  }
  std::array<Versioned<Row>, kRows> rows_;
};

/// Parents with a counter and their children: no orphan, no lost count; a child commutes with a
/// count.
class Family final : public Workload {
 public:
  [[nodiscard]] const char* name() const override { return "family"; }
  void run(Deeds* deeds, Dice& dice) override {
    const int number = dice.below(kParents);
    const Parent parent = parents_[static_cast<std::size_t>(number)].at(deeds->snapshot);
    const int kid = dice.below(kKids);
    const int kid_parent = kids_[static_cast<std::size_t>(kid)].at(deeds->snapshot);
    if (!parent.exists) return put_parent(deeds, number, {true, 0}, LockClass::kUpdate);
    switch (dice.below(5)) {
      case 0:
        return remove(deeds, number, /*cascade=*/dice.one_in(2));
      case 1:
        put_parent(deeds, number, {true, parent.count + 1}, LockClass::kNoKeyUpdate);
        deeds->on_commit.emplace_back(
            [this, number](Moment) { ++counted_[static_cast<std::size_t>(number)]; });
        return;
      case 2:
        if (kid_parent != kGone) return put_kid(deeds, kid, kGone, LockClass::kUpdate);
        [[fallthrough]];
      default:
        deeds->use(row(kParent, number), LockClass::kKeyShare);
        put_kid(deeds, kid, number,
                kid_parent == kGone ? LockClass::kUpdate : LockClass::kNoKeyUpdate);
    }
  }
  [[nodiscard]] std::string wrong() const override {
    for (const auto& kid : kids_) {
      if (kid.now() != kGone && !parents_[static_cast<std::size_t>(kid.now())].now().exists) {
        return "an orphan of parent " + std::to_string(kid.now());
      }
    }
    for (std::size_t number = 0; number < kParents; ++number) {
      const Parent& parent = parents_[number].now();
      if (parent.exists && parent.count != counted_[number]) return "a lost count";
    }
    return {};
  }

 private:
  static constexpr int kParents = 5;
  static constexpr int kKids = 12;
  static constexpr int kGone = -1;
  struct Parent {
    bool exists = false;
    int count = 0;
  };
  void put_parent(Deeds* deeds, int number, Parent parent, LockClass lock_class) {
    deeds->use(row(kParent, number), lock_class);
    deeds->on_commit.emplace_back([this, number, parent](Moment now) {
      parents_[static_cast<std::size_t>(number)].set(now, parent);
      if (parent.count == 0) counted_[static_cast<std::size_t>(number)] = 0;
    });
  }
  void put_kid(Deeds* deeds, int kid, int parent, LockClass lock_class) {
    deeds->use(row(kKid, kid), lock_class);
    deeds->on_commit.emplace_back(
        [this, kid, parent](Moment now) { kids_[static_cast<std::size_t>(kid)].set(now, parent); });
  }
  void remove(Deeds* deeds, int number, bool cascade) {
    std::vector<int> children;
    for (int kid = 0; kid < kKids; ++kid) {
      if (kids_[static_cast<std::size_t>(kid)].at(deeds->snapshot) == number) {
        children.push_back(kid);
      }
    }
    if (!children.empty() && !cascade) return;  // 23503
    put_parent(deeds, number, {false, 0}, LockClass::kUpdate);
    for (const int kid : children) put_kid(deeds, kid, kGone, LockClass::kUpdate);
  }
  std::array<Versioned<Parent>, kParents> parents_;
  std::array<Versioned<int>, kKids> kids_ = filled();
  static std::array<Versioned<int>, kKids> filled() {
    std::array<Versioned<int>, kKids> kids;
    kids.fill(Versioned<int>(kGone));
    return kids;
  }
  std::array<int, kParents> counted_{};
};

/// At least one of two is on call: write skew, which only the FOR UPDATE of both rows forbids.
class Duty final : public Workload {
 public:
  [[nodiscard]] const char* name() const override { return "duty"; }
  void run(Deeds* deeds, Dice& dice) override {
    const std::array<bool, 2> on{on_[0].at(deeds->snapshot), on_[1].at(deeds->snapshot)};
    deeds->use(row(kShift, 0), LockClass::kUpdate);
    deeds->use(row(kShift, 1), LockClass::kUpdate);
    const int who = dice.below(2);
    const bool leave = on[0] && on[1];
    deeds->use(row(kShift, who), LockClass::kNoKeyUpdate);
    deeds->on_commit.emplace_back(
        [this, who, leave](Moment now) { on_[static_cast<std::size_t>(who)].set(now, !leave); });
  }
  [[nodiscard]] std::string wrong() const override {
    return on_[0].now() || on_[1].now() ? "" : "nobody is on call";
  }

 private:
  std::array<Versioned<bool>, 2> on_{Versioned<bool>(true), Versioned<bool>(true)};
};

/// A value never above its limit: each is written after the other was read FOR SHARE.
class Limits final : public Workload {
 public:
  [[nodiscard]] const char* name() const override { return "limits"; }
  void run(Deeds* deeds, Dice& dice) override {
    const int value = value_.at(deeds->snapshot);
    const int limit = limit_.at(deeds->snapshot);
    const bool set_value = dice.one_in(2);
    deeds->use(row(kLimits, set_value ? 1 : 0), LockClass::kShare);
    deeds->use(row(kLimits, set_value ? 0 : 1), LockClass::kNoKeyUpdate);
    if (set_value) {
      const int to = limit - dice.below(3);
      deeds->on_commit.emplace_back([this, to](Moment now) { value_.set(now, to); });
    } else {
      const int to = value + dice.below(3);
      deeds->on_commit.emplace_back([this, to](Moment now) { limit_.set(now, to); });
    }
  }
  [[nodiscard]] std::string wrong() const override {
    return value_.now() <= limit_.now() ? "" : "a value above its limit";
  }

 private:
  // Row 0 is the value, row 1 the limit.
  Versioned<int> value_;
  Versioned<int> limit_;
};

}  // namespace

std::vector<std::unique_ptr<Workload>> make_workloads(const std::string& only) {
  std::vector<std::unique_ptr<Workload>> all;
  all.push_back(std::make_unique<General>());
  all.push_back(std::make_unique<Ring>());
  all.push_back(std::make_unique<Bank>());
  all.push_back(std::make_unique<Unique>());
  all.push_back(std::make_unique<Family>());
  all.push_back(std::make_unique<Duty>());
  all.push_back(std::make_unique<Limits>());
  std::erase_if(all, [&](const auto& one) { return !only.empty() && only != one->name(); });
  return all;
}

}  // namespace zorya::simulation
