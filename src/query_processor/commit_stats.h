#pragma once

#include <array>
#include <cstdint>

/// What the commit path tells of itself, since the start of the server: why commits were refused
/// and at which table, and how long their parts took. In shared memory of a fixed size, by relaxed
/// atomics: a commit pays four readings of the clock and some additions.
namespace zorya::query_processor {

/// Why a transaction was told 40001.
enum class ConflictKind : std::uint8_t {
  kKey,     // a key was inserted, deleted or changed, or read FOR UPDATE, on one side or both
  kRow,     // an update that changed no key column met another
  kMark,    // a row was only marked: FOR KEY SHARE, or the parent of a foreign key
  kWhole,   // met a commit that is remembered only as a whole
  kSeen,    // told at the statement: it reached a version that its snapshot does not see
  kHeap,    // the heap disagreed with the verdict
  kSchema,  // OC001
  kForced,  // asked for by a test
  kCount
};

/// Counts one. `relation` 0: not known. Of more than kConflictTablesMax tables the rest counts as
/// not known. Any backend.
inline constexpr int kConflictTablesMax = 256;
void count_conflict(std::uint32_t relation, ConflictKind kind) noexcept;

/// A part of a COMMIT that writes.
enum class CommitPart : std::uint8_t {
  kVerdict,
  kApply,  // the write set into the heap and its indexes
  kFlush,  // from there until PostgreSQL has committed: mostly the wait for the disk
  kCount
};

/// Bucket 0 counts what took less than 1 us, bucket n what took less than 2^n us, the last all
/// above.
inline constexpr int kTimeBucketCount = 26;

/// Takes the times of one COMMIT: begin, then ended() after each part in the order of the
/// enumeration.
class CommitClock {
 public:
  void begin() noexcept;
  void ended(CommitPart part) noexcept;

 private:
  std::uint64_t last_ns_ = 0;
};

/// Asks for the shared memory. Once, in the postmaster.
void install_commit_stats();

}  // namespace zorya::query_processor
