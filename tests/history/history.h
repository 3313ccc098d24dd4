#pragma once

#include "base/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace zorya::history {

using Key = std::uint64_t;
/// Unique in a history: the transaction's index times kValuesPerTransaction, plus a running number.
using Value = std::uint64_t;
using TransactionIndex = std::uint32_t;

inline constexpr Value kValuesPerTransaction = 16;

/// What the client was told.
enum class Outcome : std::uint8_t {
  kCommitted,  // COMMIT was acknowledged
  kAborted,    // refused, or rolled back: nothing of it may ever be seen
  kUnknown,    // the connection was lost while COMMIT was on its way
};

/// One step of a transaction on one list. A list that has no row is an empty list.
struct Operation {
  enum class Kind : std::uint8_t {
    kRead,
    kLockedRead,  // FOR UPDATE: two of them, or one and a writer, may not both commit concurrently
    kAppend,
  };
  Kind kind = Kind::kRead;
  Key key = 0;
  std::uint32_t length = 0;  // of a read: how many values the list had
  std::uint64_t digest = 0;  // of a read: over these values (digest_of)
  Value value = 0;           // of an append
};

/// Times are of one monotonic clock, in nanoseconds.
struct Transaction {
  std::int64_t began_ns = 0;  // before the first message of the transaction was sent
  std::int64_t ended_ns = 0;  // after the outcome was received
  Outcome outcome = Outcome::kAborted;
  std::vector<Operation> operations;
};

/// What clients did to append-only lists, and what the lists held when all were done.
struct History {
  std::vector<Transaction> transactions;
  std::map<Key, std::vector<Value>> lists;
  std::vector<std::string> oddities;  // a key with two rows, a row that was read and is not there
};

inline constexpr std::uint64_t kEmptyDigest = 0xcbf29ce484222325U;

/// The digest of a list with one value more.
constexpr std::uint64_t digest_with(std::uint64_t digest, Value value) {
  digest = (digest ^ value) * 0x9e3779b97f4a7c15U;
  return digest ^ (digest >> 29);
}

std::uint64_t digest_of(const std::vector<Value>& list);

/// A text form, a line per transaction and list; for a failed run to be looked at and checked
/// again.
base::Result<void> save(const History& history, const std::string& path);
base::Result<History> load(const std::string& path);

}  // namespace zorya::history
