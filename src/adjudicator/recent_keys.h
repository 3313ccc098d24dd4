#pragma once

#include "adjudicator/whole_commits.h"
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
  CommitId whole_below = 0;              // and all those below, if a snapshot does not see one
  CommitId horizon = 0;                  // of the last sweep: every snapshot saw all commits below
};

/// What was decided and done since the table was made, for people. A commit that is decided in
/// parts counts once for each.
struct DecisionCounters {
  std::uint64_t committed = 0;
  std::uint64_t key_conflicts[kLockClassCount][kLockClassCount] = {};  // [theirs][ours]
  std::uint64_t whole_conflicts = 0;  // with a commit known only as a whole
  std::uint64_t schema_changed = 0;
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
/// by itself; what no longer can matter goes when the caller sweeps. When it is more than half full
/// the sweeps also put out the keys of the oldest half of what is there, whose commits are known
/// only as a whole from then on: whoever does not see one conflicts with it. So an old snapshot can
/// lose needlessly, a young one does not, and nothing is refused for want of memory. A key that a
/// live snapshot may need is never forgotten without that.
///
/// The caller serialises all calls. Nothing here throws or allocates.
class RecentKeys {
 public:
  static constexpr std::size_t kSizeBytesMin = 16u << 10;

  /// Lays an empty table over `memory` (8-byte aligned, at least kSizeBytesMin), and returns it: it
  /// lies at the memory's start and lives as long.
  static RecentKeys* create(std::span<std::byte> memory);

  /// The class in which a commit that `snapshot` does not see used `change.key`, if it conflicts
  /// with `change.lock_class`; of several the strongest exclusive one first. The commit `own`
  /// counts as seen: a key recorded before must not conflict with itself.
  [[nodiscard]] std::optional<LockClass> conflicting_class(const KeyChange& change,
                                                           const Snapshot& snapshot,
                                                           CommitId own) const;

  /// True if a commit known only as a whole is not seen by `snapshot`.
  [[nodiscard]] bool conflicts_as_a_whole(const Snapshot& snapshot, CommitId own) const;

  /// True if the keys of `id` may have been put out.
  [[nodiscard]] bool is_known_as_a_whole(CommitId id) const { return whole().contains(id); }

  /// Makes room for that many changes, if there is none by putting out the keys of older commits.
  /// False if they would not even fit alone.
  [[nodiscard]] bool make_room(std::size_t change_count);

  /// Remembers that `id`, whose snapshot is `snapshot`, used the key. Only after neither of the two
  /// conflicts, and with room for it.
  void remember(const KeyChange& change, const Snapshot& snapshot, CommitId id);

  /// Remembers of `id` no keys.
  void remember_as_a_whole(CommitId id);

  /// Forgets commits below `horizon`: every snapshot, live or to come, sees all of those; in a
  /// table more than half full also keys of the oldest others. Looks at up to `bucket_count_max`
  /// buckets, on from where the last call ended, and no more than is of use: one round for each
  /// horizon. Gives memory back when little of it is used.
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
  static constexpr std::size_t kSizeBytesPerWholeId = 64;
  static constexpr std::uint32_t kLayoutVersion = 3;

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

  [[nodiscard]] WholeCommits& whole();
  [[nodiscard]] const WholeCommits& whole() const;
  [[nodiscard]] CellIndex* buckets();
  [[nodiscard]] const CellIndex* buckets() const;
  [[nodiscard]] Cell* cells();
  [[nodiscard]] const Cell* cells() const;
  [[nodiscard]] std::uint32_t cells_left() const {
    return cell_count_max_ - cells_touched_ + cells_free_;
  }
  [[nodiscard]] std::uint32_t bucket_of(const KeyHash& key) const;
  [[nodiscard]] CellIndex find(const KeyHash& key) const;
  [[nodiscard]] CellIndex find_or_add(const KeyHash& key);
  [[nodiscard]] CellIndex take_cell();
  void free_cell(CellIndex index);
  void drop_sharer(CellIndex* link);
  void drop_sharers(CellIndex key, LockClass later, const Snapshot& snapshot, CommitId own);
  void put_out_older_half();
  [[nodiscard]] CommitId median_commit() const;
  [[nodiscard]] bool goes(CommitId id);
  void sweep_bucket(std::uint32_t bucket);
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
  std::uint32_t buckets_left_;         // to look at until nothing is left to sweep at this horizon
  std::uint32_t looked_at_when_full_;  // buckets, since the table became more than half full
  std::uint32_t whole_size_bytes_;
  std::uint64_t key_count_;
  std::uint64_t sharer_count_;
  std::uint64_t size_bytes_;
  CommitId horizon_;
  CommitId put_out_below_;  // commits below are to be known only as a whole
  DecisionCounters counters_;
};

}  // namespace zorya::adjudicator
