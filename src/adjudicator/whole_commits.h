#pragma once

#include "adjudicator/write_record.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace zorya::adjudicator {

/// The commits of which no keys are known any more: whoever does not see one conflicts with it. A
/// bit for each id of a window that moves up. What lies below the window counts as one of them, all
/// together: a window that moves because every snapshot sees what it leaves forgets nothing, one
/// that moves because it is full makes needless conflicts.
///
/// Lies in memory that the caller gives, as RecentKeys does, with its bits behind it, of which only
/// those are touched that are needed.
class WholeCommits {
 public:
  /// How much of it `size_bytes` may take with `id_count` ids in the window, a multiple of 64.
  static constexpr std::size_t size_bytes(std::size_t id_count) {
    return sizeof(WholeCommits) + id_count / 8;
  }

  /// Lays an empty window of `id_count` ids (a multiple of 64) over `memory`, 8-byte aligned and of
  /// size_bytes(id_count).
  static WholeCommits* create(std::byte* memory, std::size_t id_count);

  /// True if there may be one, other than `own`, that `snapshot` does not see.
  [[nodiscard]] bool conflict_with(const Snapshot& snapshot, CommitId own) const;

  /// True if `id` is one.
  [[nodiscard]] bool contains(CommitId id) const;

  /// False if it was one before.
  bool add(CommitId id);

  /// Every snapshot sees what is below `horizon`.
  void forget_below(CommitId horizon);

  [[nodiscard]] std::size_t size_bytes_used() const;

  /// Of the window.
  [[nodiscard]] std::uint64_t count() const { return count_; }

  /// All ids below count as one of them.
  [[nodiscard]] CommitId window_begin() const { return begin_; }

 private:
  WholeCommits() = default;

  [[nodiscard]] std::uint64_t* bits() { return reinterpret_cast<std::uint64_t*>(this + 1); }
  [[nodiscard]] const std::uint64_t* bits() const {
    return reinterpret_cast<const std::uint64_t*>(this + 1);
  }
  [[nodiscard]] std::uint64_t& word_of(CommitId id) { return bits()[id / 64 % word_count_]; }
  [[nodiscard]] std::uint64_t word_of(CommitId id) const { return bits()[id / 64 % word_count_]; }
  [[nodiscard]] bool any_from(CommitId first, CommitId own) const;
  void keep(CommitId word_begin, std::uint64_t mask);
  void move_to(CommitId begin);

  CommitId begin_;  // of the window, a multiple of 64
  CommitId end_;    // one above the greatest that was ever added
  std::uint64_t count_;
  std::uint64_t word_count_;
};

}  // namespace zorya::adjudicator
