#include "adjudicator/whole_commits.h"

#include <algorithm>
#include <bit>
#include <new>

namespace zorya::adjudicator {
namespace {

constexpr std::uint64_t bit_of(CommitId id) { return std::uint64_t{1} << id % 64; }
constexpr CommitId word_begin_of(CommitId id) { return id - id % 64; }

/// True if the snapshot sees each id below `end` but perhaps `own`.
bool sees_below(const Snapshot& snapshot, CommitId end, CommitId own) {
  if (snapshot.floor >= end) return true;
  return snapshot.ceiling >= end &&
         std::none_of(snapshot.not_visible.begin(), snapshot.not_visible.end(),
                      [&](CommitId id) { return id < end && id != own; });
}

}  // namespace

WholeCommits* WholeCommits::create(std::byte* memory, std::size_t id_count) {
  auto* commits = new (memory) WholeCommits;
  commits->begin_ = 0;
  commits->end_ = 0;
  commits->count_ = 0;
  commits->word_count_ = id_count / 64;
  return commits;
}

bool WholeCommits::contains(CommitId id) const {
  if (id < begin_ || id >= end_) return id < begin_;
  return (word_of(id) & bit_of(id)) != 0;
}

bool WholeCommits::conflict_with(const Snapshot& snapshot, CommitId own) const {
  if (!sees_below(snapshot, begin_, own)) return true;
  if (count_ == 0) return false;
  return std::any_of(snapshot.not_visible.begin(), snapshot.not_visible.end(),
                     [&](CommitId id) { return id != own && contains(id); }) ||
         any_from(snapshot.ceiling, own);
}

bool WholeCommits::any_from(CommitId first, CommitId own) const {
  first = std::max(first, begin_);
  for (CommitId at = word_begin_of(first); at < end_; at += 64) {
    std::uint64_t word = word_of(at);
    if (at < first) word &= ~(bit_of(first) - 1);
    if (at == word_begin_of(own)) word &= ~bit_of(own);
    if (word != 0) return true;
  }
  return false;
}

std::size_t WholeCommits::size_bytes_used() const {
  return sizeof(WholeCommits) + (end_ > begin_ ? (end_ - begin_) / 8 : 0);
}

bool WholeCommits::add(CommitId id) {
  if (contains(id)) return false;
  const CommitId word_begin = word_begin_of(id);
  if (word_begin >= begin_ + 64 * word_count_) move_to(word_begin + 64 - 64 * word_count_);
  const CommitId unused = word_begin_of(std::max(begin_, end_) + 63);
  for (CommitId at = unused; at <= word_begin; at += 64) word_of(at) = 0;
  end_ = std::max(end_, id + 1);
  word_of(id) |= bit_of(id);
  ++count_;
  return true;
}

void WholeCommits::forget_below(CommitId horizon) {
  if (horizon <= begin_) return;
  move_to(word_begin_of(horizon));
  if (begin_ < end_) keep(begin_, ~(bit_of(horizon) - 1));
}

/// Of the 64 ids from `word_begin` on keeps those of `mask`.
void WholeCommits::keep(CommitId word_begin, std::uint64_t mask) {
  std::uint64_t& word = word_of(word_begin);
  count_ -= static_cast<std::uint64_t>(std::popcount(word & ~mask));
  word &= mask;
}

void WholeCommits::move_to(CommitId begin) {
  for (; begin_ < begin && begin_ < end_; begin_ += 64) keep(begin_, 0);
  begin_ = begin;
}

}  // namespace zorya::adjudicator
