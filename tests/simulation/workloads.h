#pragma once

#include "history.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace zorya::simulation {

/// What a transaction reads as of, and what it did: keys for the adjudicator, and what becomes true
/// when it commits.
struct Deeds {
  Moment snapshot = 0;
  std::vector<Use> uses;
  std::vector<std::function<void(Moment)>> on_commit;

  void use(Key key, adjudicator::LockClass lock_class) {
    uses.push_back({std::move(key), lock_class});
  }
};

/// A cell of a database with all its versions.
template <typename T>
class Versioned {
 public:
  explicit Versioned(T first = {}) : versions_{{0, first}} {}
  [[nodiscard]] const T& at(Moment moment) const {
    std::size_t n = versions_.size() - 1;
    while (versions_[n].from > moment) --n;
    return versions_[n].value;
  }
  [[nodiscard]] const T& now() const { return versions_.back().value; }
  void set(Moment from, T value) { versions_.push_back({from, std::move(value)}); }

 private:
  struct Version {
    Moment from;
    T value;
  };
  std::vector<Version> versions_;
};

/// An application: transactions, and what must be true of its data whatever they do.
class Workload {
 public:
  virtual ~Workload() = default;
  [[nodiscard]] virtual const char* name() const = 0;
  /// One transaction. It reads as of deeds->snapshot.
  virtual void run(Deeds* deeds, Dice& dice) = 0;
  /// What is wrong with the data as it is now; empty if nothing.
  [[nodiscard]] virtual std::string wrong() const { return {}; }
};

/// All of them, or the one of that name.
std::vector<std::unique_ptr<Workload>> make_workloads(const std::string& only);

}  // namespace zorya::simulation
