#pragma once

#include "adjudicator/write_record.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace zorya::adjudicator {

/// How full a table is, for people.
struct RecentKeysFigures {
  std::uint64_t key_count = 0;           // keys remembered
  std::uint64_t sharer_count = 0;        // commits of shared classes remembered with them
  std::uint64_t size_bytes_used = 0;     // touched part of the memory
  std::uint64_t size_bytes_max = 0;      // the memory
  std::uint64_t whole_commit_count = 0;  // commits known only as a whole
  std::uint64_t whole_commit_count_max = 0;
  CommitId horizon = 0;  // of the last sweep: every snapshot saw all commits below
};

/// What was decided and done since the table was made, for people. A commit that is decided in
/// parts counts once for each.
struct DecisionCounters {
  std::uint64_t committed = 0;
  std::uint64_t key_conflicts[kLockClassCount][kLockClassCount] = {};  // [theirs][ours]
  std::uint64_t whole_conflicts = 0;  // with a commit known only as a whole
  std::uint64_t schema_changed = 0;
  std::uint64_t no_room = 0;
  std::uint64_t keys_remembered[kLockClassCount] = {};  // by class: writes and marks
  std::uint64_t commits_remembered_whole = 0;
  std::uint64_t keys_swept = 0;  // forgotten because every snapshot sees them
  std::uint64_t sweeps = 0;
  std::uint64_t compactions = 0;  // of the memory, when most of it lay idle
};

struct Decision;

/// Which commits used which keys of late: for each key and class the commits that some live
/// snapshot may not see.
///
/// Lives in memory that the caller gives (shared between processes in a server, plain in a test),
/// which need not be zero and of which only what is used is touched: a table of 64 MiB that holds
/// little costs little. The memory is laid out with indexes, never pointers. It grows and shrinks
/// by itself; what no longer can matter goes when the caller sweeps. When the memory is full a
/// commit is remembered only as a whole (whoever does not see it conflicts with it), up to
/// kWholeCommitsMax; then nothing more fits and the caller must refuse. It never forgets a key that
/// a live snapshot may need.
///
/// The caller serialises all calls. Nothing here throws or allocates.
class RecentKeys {
 public:
  static constexpr std::size_t kSizeBytesMin = 16u << 10;
  static constexpr std::size_t kWholeCommitsMax = 1024;

  /// Lays an empty table over `memory` (8-byte aligned, at least kSizeBytesMin), and returns it: it
  /// lies at the memory's start and lives as long.
  static RecentKeys* create(std::span<std::byte> memory,
                            std::size_t whole_commits_max = kWholeCommitsMax);

  /// The class in which a commit that `snapshot` does not see used `change.key`, if it conflicts
  /// with `change.lock_class`; of several the strongest exclusive one first. The commit `own`
  /// counts as seen: a key recorded before must not conflict with itself.
  [[nodiscard]] std::optional<LockClass> conflicting_class(const KeyChange& change,
                                                           const Snapshot& snapshot,
                                                           CommitId own) const;

  /// True if a commit known only as a whole is not seen by `snapshot`.
  [[nodiscard]] bool conflicts_as_a_whole(const Snapshot& snapshot, CommitId own) const;

  /// True if `change_count` more changes fit whatever they are.
  [[nodiscard]] bool has_room(std::size_t change_count) const;

  /// Remembers that `id`, whose snapshot is `snapshot`, used the key. Only after conflicts_with
  /// said no, and has_room yes.
  void remember(const KeyChange& change, const Snapshot& snapshot, CommitId id);

  /// Remembers the commit as a whole; false if that does not fit either.
  [[nodiscard]] bool remember_whole(CommitId id);

  /// Forgets commits below `horizon`: every snapshot, live or to come, sees all of those. Looks at
  /// up to `bucket_count_max` buckets, on from where the last call ended, and gives memory back
  /// when little of it is used.
  void sweep(CommitId horizon, std::size_t bucket_count_max);
  /// The same over the whole table.
  void sweep_all(CommitId horizon);

  [[nodiscard]] std::size_t bucket_count() const { return bucket_count_; }
  [[nodiscard]] RecentKeysFigures figures() const;

  void count(const Decision& decision);
  [[nodiscard]] const DecisionCounters& counters() const { return counters_; }

  /// The part of the memory that holds nothing now: the caller may give its pages back to the
  /// system.
  [[nodiscard]] std::span<std::byte> idle_memory();

 private:
  using CellIndex = std::uint32_t;
  static constexpr CellIndex kNone = 0xffffffffU;
  static constexpr std::uint32_t kBucketCountMin = 64;
  static constexpr std::uint32_t kCompactedFrom = 256;  // cells: fewer are not worth the work
  static constexpr std::uint32_t kLayoutVersion = 2;

  /// A key with its last exclusive commits, or (in the list of a key) one commit of a shared class.
  struct Cell {
    KeyHash key;
    CommitId update;         // of a sharer: its commit id
    CommitId no_key_update;  // of a sharer: its LockClass
    CellIndex next;          // in the bucket, in the list of sharers, or in the free list
    CellIndex sharers;       // first of the shared classes' commits
  };
  static_assert(sizeof(Cell) == 40);

  RecentKeys() = default;

  [[nodiscard]] CellIndex* buckets();
  [[nodiscard]] const CellIndex* buckets() const;
  [[nodiscard]] Cell* cells();
  [[nodiscard]] const Cell* cells() const;
  [[nodiscard]] std::uint32_t bucket_of(const KeyHash& key) const;
  [[nodiscard]] CellIndex find(const KeyHash& key) const;
  [[nodiscard]] CellIndex find_or_add(const KeyHash& key);
  [[nodiscard]] CellIndex take_cell();
  void free_cell(CellIndex index);
  void drop_sharer(CellIndex* link);
  void drop_sharers(CellIndex key, LockClass later, const Snapshot& snapshot, CommitId own);
  void sweep_bucket(std::uint32_t bucket, CommitId horizon);
  void split_bucket();
  void merge_bucket();
  void shrink();
  void compact();
  CellIndex relocate(CellIndex index, CellIndex limit);

  // One writer at a time: the holder of the caller's lock.
  std::uint32_t layout_version_;
  std::uint32_t bucket_count_max_;  // a power of two
  std::uint32_t bucket_count_;      // linear hashing: the buckets in use
  std::uint32_t cell_count_max_;
  std::uint32_t cells_touched_;  // cells from here on were never used, or were given back
  std::uint32_t cells_free_;     // in the free list
  CellIndex free_list_;
  std::uint32_t sweep_cursor_;
  std::uint64_t key_count_;
  std::uint64_t sharer_count_;
  std::uint64_t size_bytes_;
  CommitId horizon_;
  DecisionCounters counters_;
  std::uint32_t whole_count_;
  std::uint32_t whole_count_max_;
  CommitId whole_[kWholeCommitsMax];
};

}  // namespace zorya::adjudicator
