#include "history.h"

namespace zorya::simulation {
namespace {

using adjudicator::LockClass;

/// The published table, with FOR SHARE in its place; written out here once more on purpose.
bool cannot_both_commit(LockClass a, LockClass b) {
  // INSERT, DELETE, UPDATE of a key column, FOR UPDATE: with everything.
  if (a == LockClass::kUpdate || b == LockClass::kUpdate) return true;
  // UPDATE of a non-key column: with its like, and with FOR SHARE.
  if (a == LockClass::kNoKeyUpdate && b == LockClass::kNoKeyUpdate) return true;
  if (a == LockClass::kNoKeyUpdate && b == LockClass::kShare) return true;
  if (a == LockClass::kShare && b == LockClass::kNoKeyUpdate) return true;
  return false;
}

}  // namespace

void History::passed(int transaction, const std::vector<Use>& uses) {
  records_of_[transaction].push_back(passed_.size());
  passed_.push_back({transaction, uses});
  ended_.push_back(kNever);
}

void History::ended(int transaction, Moment now) {
  for (const std::size_t record : records_of_[transaction]) ended_[record] = now;
  records_of_.erase(transaction);
}

void History::schema_changed(int table, Moment now) { schema_changes_.push_back({table, now}); }

History::Expected History::expected(int transaction, Moment snapshot,
                                    const std::vector<Use>& uses) const {
  Expected expected;
  for (const SchemaChange& change : schema_changes_) {
    for (const Use& use : uses) {
      if (change.at > snapshot && change.table == use.key.table) expected.schema_changed = true;
    }
  }
  for (std::size_t n = 0; n < passed_.size(); ++n) {
    const Passed& other = passed_[n];
    if (ended_[n] <= snapshot || other.transaction == transaction) continue;
    expected.unseen.push_back(other.transaction);
    for (const Use& theirs : other.uses) {
      for (const Use& ours : uses) {
        if (expected.conflict || !equal(theirs.key, ours.key) ||
            !cannot_both_commit(theirs.lock_class, ours.lock_class)) {
          continue;
        }
        expected.conflict = true;
        expected.why = "transaction " + std::to_string(other.transaction) + " used " +
                       to_text(theirs.key) + " as " + to_text(theirs.lock_class) + ", this one " +
                       to_text(ours.key) + " as " + to_text(ours.lock_class);
      }
    }
  }
  return expected;
}

std::string to_text(const Key& key) {
  std::string text = std::to_string(key.table) + "." + std::to_string(key.space) + "(";
  for (const Value& value : key.values) {
    switch (value.type) {
      case Value::Type::kInteger:
        text += std::to_string(value.number);
        break;
      case Value::Type::kNumeric:
        text += std::to_string(value.number) + "e-" + std::to_string(value.scale);
        break;
      case Value::Type::kFloat:
        text += std::to_string(value.real);
        break;
      case Value::Type::kNull:
        text += "null";
        break;
      default:
        text += "'" + value.text + "'";
        break;
    }
    text += &value == &key.values.back() ? "" : ",";
  }
  return text + ")";
}

const char* to_text(LockClass lock_class) {
  switch (lock_class) {
    case LockClass::kKeyShare:
      return "key share";
    case LockClass::kShare:
      return "share";
    case LockClass::kNoKeyUpdate:
      return "non-key update";
    case LockClass::kUpdate:
      return "update";
  }
  return "";
}

}  // namespace zorya::simulation
