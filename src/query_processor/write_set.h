#pragma once

#include "adjudicator/write_record.h"
#include "query_processor/stable_vector.h"

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

namespace zorya::query_processor {

using RelationId = std::uint32_t;
using StorageId = std::uint32_t;      // of a table's file: another one after TRUNCATE or a rewrite
using CommandNumber = std::uint32_t;  // of a statement within its transaction
using SubtransactionNumber = std::uint32_t;  // grows within a transaction; nested ones are greater

/// Where a row version lies: in the heap, or (transient) in a write set.
struct RowId {
  std::uint32_t block = 0xffffffffU;
  std::uint16_t offset = 0;
  auto operator<=>(const RowId&) const = default;
};

struct Version;

/// A row that others can see and that this transaction changes or marks.
struct Entry {
  RelationId relation = 0;
  StorageId storage = 0;
  RowId base;                     // in the heap
  adjudicator::KeyHash identity;  // the row's key, or else its place
  bool identity_is_key = false;   // false: by place, and then every change counts as one of the key
  bool also_by_place = false;     // the key may be new, others may still know the row by its place
  adjudicator::KeyHash place;
  Version* newest = nullptr;            // none: only marked, or rolled back
  SubtransactionNumber applied_in = 0;  // not 0: written to the heap already, by that one
  RowId applied_row;                    // where to
  CommandNumber applied_by = 0;         // and as of which command
  std::uint8_t marked_classes = 0;      // a bit per adjudicator::LockClass among the keys
  std::uint32_t slot = 0;               // among the write set's places
};

/// A pending version of a row. `tuple` null: the row is gone (deleted, or replaced by a new row in
/// the heap).
struct Version {
  CommandNumber command = 0;
  SubtransactionNumber subtransaction = 0;
  void* tuple = nullptr;  // a HeapTuple of the transaction's memory
  RowId transient;
  Entry* entry = nullptr;
  Version* older = nullptr;
  RowId moved_to{};  // of a row that was replaced by a new one: where that is
  bool key_changed = false;
  bool left_partition = false;
};

/// What a transaction will change at COMMIT: the pending versions of rows that others can see, by
/// command and subtransaction, and the keys that the adjudicator will be asked about. One per
/// backend; it knows nothing of PostgreSQL. Pointers to entries and versions hold until `clear`.
/// Members that add may throw std::bad_alloc and then changed nothing.
class WriteSet {
 public:
  /// No row is held: nothing that is read can be different.
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  /// Neither rows nor keys: nothing to adjudicate.
  [[nodiscard]] bool nothing_to_commit() const noexcept { return log_.empty() && keys_.empty(); }
  [[nodiscard]] bool has_versions() const noexcept { return !log_.empty(); }

  /// True if a version of the row is pending: made, not rolled back, and not applied yet.
  [[nodiscard]] static bool is_pending(const Entry& entry) noexcept {
    return entry.newest != nullptr && entry.applied_in == 0;
  }
  /// For a reader at `command`: the entry of a row with versions, unless it was applied before the
  /// reader's snapshot; one applied later is still read at its old place. May be null if no version
  /// was made before `command`: the reader sees none.
  [[nodiscard]] Entry* find_changed(StorageId storage, RowId row,
                                    CommandNumber command) const noexcept {
    return command > first_command_ && may_hold(storage, row.block)
               ? find_changed_in(storage, row, command)
               : nullptr;
  }
  /// True if the heap block may hold a row with an entry; false is certain. One bit per hash, so
  /// that pages without changes are read at the heap's own speed.
  [[nodiscard]] bool may_hold(StorageId storage, std::uint32_t block) const noexcept {
    const std::uint32_t bit = filter_bit(storage, block);
    return (filter_[bit / 64] >> (bit % 64) & 1) != 0;
  }

  struct RowIdentity {
    adjudicator::KeyHash hash;
    bool is_key = false;
    bool also_by_place = false;
    adjudicator::KeyHash place;
  };
  /// The entry of a row, whatever was done with it; null if there is none.
  [[nodiscard]] Entry* find_any(StorageId storage, RowId row) const noexcept;
  /// Makes the entry of a row that has none.
  Entry& add_entry(RelationId relation, StorageId storage, RowId row, RowIdentity identity);

  /// Adds a pending version on top of those of `entry`.
  struct Change {
    CommandNumber command = 0;
    SubtransactionNumber subtransaction = 0;
    void* tuple = nullptr;
    bool key_changed = false;
    bool left_partition = false;
  };
  Version& push(Entry& entry, const Change& change);

  /// The version that a reader at `command` sees: the newest made before it; null for the heap's
  /// own.
  [[nodiscard]] static Version* visible(const Entry& entry, CommandNumber command) noexcept;
  /// The oldest version of an entry that has one.
  [[nodiscard]] static Version* oldest(const Entry& entry) noexcept;

  [[nodiscard]] static bool is_transient(RowId row) noexcept;
  /// Null if no version was ever given that transient place.
  [[nodiscard]] Version* version_at(RowId transient) noexcept;

  /// How many pending versions hide a row, of one relation or of all.
  [[nodiscard]] std::uint32_t hidden_count(RelationId relation) const noexcept;
  [[nodiscard]] std::uint32_t hidden_count() const noexcept { return hidden_total_; }

  void add_key(adjudicator::KeyChange change) { keys_.push_back(change); }
  [[nodiscard]] static bool is_marked(const Entry& entry,
                                      adjudicator::LockClass lock_class) noexcept {
    return (entry.marked_classes >> static_cast<unsigned>(lock_class) & 1) != 0;
  }
  /// Notes that the row is read with a lock clause. False if that was noted before.
  bool add_mark(Entry& entry, adjudicator::LockClass lock_class);
  [[nodiscard]] std::uint32_t mark_count() const noexcept { return mark_count_; }
  /// The same for a row that only this transaction can see, and that has no entry: its key is noted
  /// once for each class, however often it is read.
  void add_own_mark(adjudicator::KeyChange mark);

  /// Rows of other transactions or of this one that were changed, each once.
  [[nodiscard]] std::uint32_t row_count() const noexcept { return row_count_; }
  void count_rows(std::int32_t change) noexcept {
    row_count_ = static_cast<std::uint32_t>(static_cast<std::int32_t>(row_count_) + change);
  }

  /// All keys for the adjudicator: those added, and the identities of the rows with pending
  /// versions. Borrowed until the next change.
  std::span<const adjudicator::KeyChange> keys_to_adjudicate();
  /// The entries whose newest version is to be written, by relation and place. Borrowed until the
  /// next call.
  std::span<Entry* const> entries_to_apply();

  void start_subtransaction(SubtransactionNumber number);
  /// Takes back what the subtransaction and those in it did.
  void abort_subtransaction(SubtransactionNumber number) noexcept;

  /// Forgets everything, and gives back memory that a large transaction took.
  void clear() noexcept;

 private:
  struct Mark {
    SubtransactionNumber subtransaction;
    std::size_t key_count;
    std::uint32_t row_count;
    std::uint32_t mark_count;
  };
  struct Hidden {
    RelationId relation;
    std::uint32_t count;
  };
  static constexpr CommandNumber kNoCommand = ~CommandNumber{0};
  static constexpr std::size_t kFilterWords = 256;  // 16,384 bits

  static std::uint32_t filter_bit(StorageId storage, std::uint32_t block) noexcept {
    const std::uint64_t mixed = (std::uint64_t{storage} << 32 | block) * 0x9e3779b97f4a7c15U;
    return static_cast<std::uint32_t>(mixed >> 50);  // the upper 14 bits
  }

  std::uint32_t& hidden_of(RelationId relation);
  [[nodiscard]] Entry* find_changed_in(StorageId storage, RowId row,
                                       CommandNumber command) const noexcept;
  [[nodiscard]] std::uint32_t free_slot(StorageId storage, RowId row) const noexcept;
  void grow_places();

  std::vector<std::uint32_t>
      places_;  // open addressing: the number of an entry and 1, or 0; a power of two
  StableVector<Entry> entries_;
  StableVector<Version> versions_;  // transient row n is versions_[n], also after a rollback
  std::vector<Version*> log_;       // live versions in the order of their making
  std::vector<adjudicator::KeyChange> keys_;
  std::vector<adjudicator::KeyChange> all_keys_;
  struct KeyHashHash {
    std::size_t operator()(const adjudicator::KeyHash& key) const noexcept { return key.low; }
  };
  std::array<std::unordered_set<adjudicator::KeyHash, KeyHashHash>, adjudicator::kLockClassCount>
      own_marks_;  // by class; those among keys_ that add_own_mark put there
  std::vector<Entry*> to_apply_;
  std::vector<Mark> subtransactions_;
  std::vector<Hidden> hidden_;
  std::uint32_t hidden_total_ = 0;
  std::uint32_t row_count_ = 0;
  std::uint32_t mark_count_ = 0;
  CommandNumber first_command_ = kNoCommand;  // no version was made by an earlier one
  std::array<std::uint64_t, kFilterWords> filter_{};
};

}  // namespace zorya::query_processor
