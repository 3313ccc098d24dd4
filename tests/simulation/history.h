#pragma once

#include "values.h"

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace zorya::simulation {

/// A moment of the simulation; each event has its own.
using Moment = std::int64_t;
inline constexpr Moment kNever = std::numeric_limits<Moment>::max();

struct Use {
  Key key;
  adjudicator::LockClass lock_class = adjudicator::LockClass::kUpdate;
};

/// The oracle: every record that ever passed, what it used, when it passed and when it ended; and
/// the definition of a conflict read off word by word. It knows no commit ids, snapshots or hashes:
/// a transaction sees another if that one ended before its snapshot was taken. It forgets nothing.
class History {
 public:
  /// A record passed. A commit decided in parts passes several times.
  void passed(int transaction, const std::vector<Use>& uses);
  /// The transaction ended, by a commit or (also after its verdict) without one.
  void ended(int transaction, Moment now);
  /// A schema change that no transaction may overlook.
  void schema_changed(int table, Moment now);

  /// What must become of a record of `transaction`, whose snapshot is of `snapshot`.
  struct Expected {
    bool schema_changed = false;
    bool conflict = false;    // over a key
    std::vector<int> unseen;  // other transactions that passed and that this one does not see
    std::string why;
  };
  [[nodiscard]] Expected expected(int transaction, Moment snapshot,
                                  const std::vector<Use>& uses) const;

 private:
  struct Passed {
    int transaction = 0;
    std::vector<Use> uses;
  };
  struct SchemaChange {
    int table = 0;
    Moment at = 0;
  };
  std::vector<Passed> passed_;
  // When each of those ended. Apart, because all of them are looked at again and again.
  std::vector<Moment> ended_;
  std::map<int, std::vector<std::size_t>> records_of_;  // of a transaction that has not ended
  std::vector<SchemaChange> schema_changes_;
};

std::string to_text(const Key& key);
const char* to_text(adjudicator::LockClass lock_class);

}  // namespace zorya::simulation
