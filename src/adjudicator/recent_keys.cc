#include "adjudicator/recent_keys.h"

#include "adjudicator/adjudicator.h"
#include "adjudicator/conflict_table.h"
#include "adjudicator/plant.h"
#include "base/check.h"

#include <algorithm>
#include <array>
#include <bit>
#include <new>
#include <type_traits>

namespace zorya::adjudicator {

static_assert(std::is_trivially_copyable_v<RecentKeys> && std::is_standard_layout_v<RecentKeys>,
              "it lies in memory that processes share");

RecentKeys* RecentKeys::create(std::span<std::byte> memory) {
  CHECK(memory.size() >= kSizeBytesMin, "memory for the table of recent keys");
  CHECK(reinterpret_cast<std::uintptr_t>(memory.data()) % alignof(RecentKeys) == 0,
        "alignment of the table of recent keys");
  auto* table = new (memory.data()) RecentKeys;
  // A million ids for 64 MiB: of each that is put out there were cells of 40 bytes.
  const std::size_t whole_ids = std::bit_floor(memory.size() / kSizeBytesPerWholeId);
  const std::size_t whole_size = WholeCommits::size_bytes(whole_ids);
  const std::size_t room = memory.size() - sizeof(RecentKeys) - whole_size;
  // As many buckets as cells at most, rounded down to a power of two.
  const auto buckets = std::bit_floor(
      std::min<std::size_t>(room / (sizeof(Cell) + sizeof(CellIndex)), std::size_t{1} << 30));
  const std::size_t cells = (room - buckets * sizeof(CellIndex)) / sizeof(Cell);
  table->layout_version_ = kLayoutVersion;
  table->bucket_count_max_ = static_cast<std::uint32_t>(buckets);
  table->bucket_count_ = kBucketCountMin;
  table->cell_count_max_ = static_cast<std::uint32_t>(std::min<std::size_t>(cells, kNone - 1));
  table->cells_touched_ = 0;
  table->cells_free_ = 0;
  table->free_list_ = kNone;
  table->sweep_cursor_ = 0;
  table->buckets_left_ = 0;
  table->looked_at_when_full_ = 0;
  table->whole_size_bytes_ = static_cast<std::uint32_t>(whole_size);
  table->key_count_ = 0;
  table->sharer_count_ = 0;
  table->size_bytes_ = memory.size();
  table->horizon_ = 0;
  table->put_out_below_ = 0;
  table->counters_ = {};
  WholeCommits::create(reinterpret_cast<std::byte*>(table + 1), whole_ids);
  std::fill_n(table->buckets(), kBucketCountMin, kNone);
  return table;
}

// The layout: this object | commits known as a whole | cells | buckets. Cells go before buckets,
// since they are 8-byte aligned.
WholeCommits& RecentKeys::whole() { return *reinterpret_cast<WholeCommits*>(this + 1); }
const WholeCommits& RecentKeys::whole() const {
  return *reinterpret_cast<const WholeCommits*>(this + 1);
}
RecentKeys::Cell* RecentKeys::cells() {
  return reinterpret_cast<Cell*>(reinterpret_cast<std::byte*>(this + 1) + whole_size_bytes_);
}
const RecentKeys::Cell* RecentKeys::cells() const {
  return reinterpret_cast<const Cell*>(reinterpret_cast<const std::byte*>(this + 1) +
                                       whole_size_bytes_);
}
RecentKeys::CellIndex* RecentKeys::buckets() {
  return reinterpret_cast<CellIndex*>(cells() + cell_count_max_);
}
const RecentKeys::CellIndex* RecentKeys::buckets() const {
  return reinterpret_cast<const CellIndex*>(cells() + cell_count_max_);
}

std::uint32_t RecentKeys::bucket_of(const KeyHash& key) const {
  // Linear hashing: buckets below the split point are already divided by one more bit.
  const std::uint32_t upper = std::bit_ceil(bucket_count_);
  const auto bucket = static_cast<std::uint32_t>(key.low) & (upper - 1);
  return bucket < bucket_count_ ? bucket : bucket & (upper / 2 - 1);
}

RecentKeys::CellIndex RecentKeys::find(const KeyHash& key) const {
  const Cell* cell = cells();
  for (CellIndex index = buckets()[bucket_of(key)]; index != kNone; index = cell[index].next) {
    if (cell[index].key == key) return index;
  }
  return kNone;
}

std::optional<LockClass> RecentKeys::conflicting_class(const KeyChange& change,
                                                       const Snapshot& snapshot,
                                                       CommitId own) const {
  const CellIndex index = find(change.key);
  if (index == kNone) return std::nullopt;
  const auto meets = [&](LockClass theirs, CommitId id) {
    return id != 0 && id != own && conflicts(change.lock_class, theirs) && !snapshot.sees(id);
  };
  const Cell& cell = cells()[index];
  if (meets(LockClass::kUpdate, cell.update)) return LockClass::kUpdate;
  if (meets(LockClass::kNoKeyUpdate, cell.no_key_update)) return LockClass::kNoKeyUpdate;
  for (CellIndex at = cell.sharers; at != kNone; at = cells()[at].next) {
    const Cell& sharer = cells()[at];
    const auto theirs = static_cast<LockClass>(sharer.no_key_update);
    if (meets(theirs, sharer.update)) return theirs;
  }
  return std::nullopt;
}

bool RecentKeys::conflicts_as_a_whole(const Snapshot& snapshot, CommitId own) const {
  return !planted(Fault::kIgnoreWholeCommits) && whole().conflict_with(snapshot, own);
}

bool RecentKeys::make_room(std::size_t change_count) {
  // A change takes at most a cell for its key and one for a sharer.
  const std::size_t cell_count = 2 * change_count;
  if (cell_count > cell_count_max_) return false;
  while (cells_left() < cell_count) {
    put_out_older_half();
    sweep_all(horizon_);
  }
  return true;
}

RecentKeys::CellIndex RecentKeys::take_cell() {
  if (free_list_ != kNone) {
    const CellIndex index = free_list_;
    free_list_ = cells()[index].next;
    --cells_free_;
    return index;
  }
  CHECK(cells_touched_ < cell_count_max_, "remember without room");
  return cells_touched_++;
}

void RecentKeys::free_cell(CellIndex index) {
  cells()[index].next = free_list_;
  free_list_ = index;
  ++cells_free_;
}

void RecentKeys::drop_sharer(CellIndex* link) {
  const CellIndex at = *link;
  *link = cells()[at].next;
  free_cell(at);
  --sharer_count_;
}

RecentKeys::CellIndex RecentKeys::find_or_add(const KeyHash& key) {
  const CellIndex found = find(key);
  if (found != kNone) return found;
  const CellIndex index = take_cell();
  CellIndex& head = buckets()[bucket_of(key)];
  cells()[index] = Cell{key, 0, 0, head, kNone};
  head = index;
  if (++key_count_ > bucket_count_ && bucket_count_ < bucket_count_max_) split_bucket();
  return index;
}

void RecentKeys::drop_sharers(CellIndex key, LockClass later, const Snapshot& snapshot,
                              CommitId own) {
  CellIndex* link = &cells()[key].sharers;
  while (*link != kNone) {
    const CellIndex at = *link;
    const Cell& sharer = cells()[at];
    const bool seen = sharer.update == own || snapshot.sees(sharer.update);
    const bool dropped = seen && covers(later, static_cast<LockClass>(sharer.no_key_update));
    if (dropped || planted(Fault::kForgetSharer)) {
      drop_sharer(link);
    } else {
      link = &cells()[at].next;
    }
  }
}

void RecentKeys::remember(const KeyChange& change, const Snapshot& snapshot, CommitId id) {
  ++counters_.keys_remembered[static_cast<int>(change.lock_class)];
  const CellIndex index = find_or_add(change.key);
  // What `id` saw and covers is told by `id` from now on: whoever sees `id` sees that too. Of the
  // exclusive classes only the last commit is kept, for it saw the one before; of the shared ones
  // all that are concurrent with each other.
  drop_sharers(index, change.lock_class, snapshot, id);
  Cell& cell = cells()[index];
  switch (change.lock_class) {
    case LockClass::kUpdate:
      cell.update = id;
      cell.no_key_update = 0;
      return;
    case LockClass::kNoKeyUpdate:
      cell.no_key_update = id;
      if (planted(Fault::kForgetKeyUpdate)) cell.update = 0;
      return;
    case LockClass::kShare:
    case LockClass::kKeyShare:
      break;
  }
  const CellIndex sharer = take_cell();
  cells()[sharer] =
      Cell{change.key, id, static_cast<CommitId>(change.lock_class), cells()[index].sharers, kNone};
  cells()[index].sharers = sharer;
  ++sharer_count_;
}

void RecentKeys::remember_as_a_whole(CommitId id) {
  if (whole().add(id)) ++counters_.commits_remembered_whole;
}

/// The commit that half of a sample of all keys is not younger than; 0 if there is no key.
CommitId RecentKeys::median_commit() const {
  std::array<CommitId, 256> sample;
  std::size_t count = 0;
  const auto step = bucket_count_ / static_cast<std::uint32_t>(sample.size()) + 1;
  for (std::uint32_t bucket = 0; bucket < bucket_count_; bucket += step) {
    for (CellIndex at = buckets()[bucket]; at != kNone; at = cells()[at].next) {
      if (count == sample.size()) break;
      const Cell& cell = cells()[at];
      const CommitId shared = cell.sharers == kNone ? 0 : cells()[cell.sharers].update;
      sample[count++] = std::max({cell.update, cell.no_key_update, shared});
    }
  }
  if (count == 0) return 0;
  const auto middle = sample.begin() + static_cast<std::ptrdiff_t>(count / 2);
  std::nth_element(sample.begin(), middle, sample.begin() + static_cast<std::ptrdiff_t>(count));
  return *middle;
}

void RecentKeys::put_out_older_half() {
  put_out_below_ = std::max(put_out_below_, median_commit()) + 1;
  buckets_left_ = bucket_count_;
  looked_at_when_full_ = 0;
}

/// True if a key need not stay for `id`; what a live snapshot may not see is known as a whole then.
bool RecentKeys::goes(CommitId id) {
  if (id < horizon_ + (planted(Fault::kSweepTooEarly) ? 1 : 0)) return true;
  if (id >= put_out_below_) return false;
  remember_as_a_whole(id);
  return true;
}

void RecentKeys::sweep_bucket(std::uint32_t bucket) {
  CellIndex* link = &buckets()[bucket];
  while (*link != kNone) {
    const CellIndex at = *link;
    Cell& cell = cells()[at];
    if (cell.update != 0 && goes(cell.update)) cell.update = 0;
    if (cell.no_key_update != 0 && goes(cell.no_key_update)) cell.no_key_update = 0;
    CellIndex* sharer_link = &cell.sharers;
    while (*sharer_link != kNone) {
      if (goes(cells()[*sharer_link].update)) {
        drop_sharer(sharer_link);
      } else {
        sharer_link = &cells()[*sharer_link].next;
      }
    }
    if (cell.update == 0 && cell.no_key_update == 0 && cell.sharers == kNone) {
      *link = cell.next;
      free_cell(at);
      --key_count_;
      ++counters_.keys_swept;
    } else {
      link = &cell.next;
    }
  }
}

void RecentKeys::sweep(CommitId horizon, std::size_t bucket_count_max) {
  ++counters_.sweeps;
  if (horizon > horizon_) {
    horizon_ = horizon;
    buckets_left_ = bucket_count_;
    whole().forget_below(horizon);
  }
  // More than half full: first a round for what every snapshot sees, before anything else goes.
  const bool is_filling = cells_left() < cell_count_max_ / 2;
  if (!is_filling) looked_at_when_full_ = 0;
  if (looked_at_when_full_ >= bucket_count_) put_out_older_half();
  const auto budget = static_cast<std::uint32_t>(
      std::min<std::size_t>(bucket_count_max, is_filling ? bucket_count_ : buckets_left_));
  buckets_left_ -= std::min(budget, buckets_left_);
  looked_at_when_full_ += budget;
  bool round_ended = budget == bucket_count_;
  for (std::uint32_t done = 0; done < budget; ++done) {
    if (sweep_cursor_ >= bucket_count_) {
      sweep_cursor_ = 0;
      round_ended = true;
    }
    sweep_bucket(sweep_cursor_++);
  }
  if (round_ended) shrink();
}

void RecentKeys::sweep_all(CommitId horizon) {
  buckets_left_ = bucket_count_;
  sweep(horizon, bucket_count_);
}

void RecentKeys::split_bucket() {
  const std::uint32_t fresh = bucket_count_;
  const std::uint32_t upper = std::bit_ceil(bucket_count_ + 1);
  const std::uint32_t from = fresh & (upper / 2 - 1);
  CellIndex* table = buckets();
  CellIndex rest = table[from];
  table[from] = kNone;
  table[fresh] = kNone;
  ++bucket_count_;
  while (rest != kNone) {
    Cell& cell = cells()[rest];
    const CellIndex next = cell.next;
    CellIndex& head = table[bucket_of(cell.key)];
    cell.next = head;
    head = rest;
    rest = next;
  }
}

void RecentKeys::merge_bucket() {
  const std::uint32_t last = bucket_count_ - 1;
  const std::uint32_t into = last & (std::bit_ceil(bucket_count_) / 2 - 1);
  CellIndex* table = buckets();
  CellIndex rest = table[last];
  --bucket_count_;
  while (rest != kNone) {
    Cell& cell = cells()[rest];
    const CellIndex next = cell.next;
    cell.next = table[into];
    table[into] = rest;
    rest = next;
  }
}

void RecentKeys::shrink() {
  // Only when three quarters lie idle, so that a steady load never moves cells about.
  const std::uint32_t live = cells_touched_ - cells_free_;
  if (cells_touched_ >= kCompactedFrom && live < cells_touched_ / 4) compact();
  while (bucket_count_ > kBucketCountMin && key_count_ < bucket_count_ / 4) merge_bucket();
  sweep_cursor_ = std::min(sweep_cursor_, bucket_count_);
}

RecentKeys::CellIndex RecentKeys::relocate(CellIndex index, CellIndex limit) {
  if (index < limit) return index;
  const CellIndex to = take_cell();
  CHECK(to < limit, "as many free cells below the limit as live ones above it");
  cells()[to] = cells()[index];
  return to;
}

void RecentKeys::compact() {
  ++counters_.compactions;
  const std::uint32_t live = cells_touched_ - cells_free_;
  // Keep of the free list what lies below the limit: exactly as many cells as are live above it.
  CellIndex rest = free_list_;
  free_list_ = kNone;
  cells_free_ = 0;
  while (rest != kNone) {
    const CellIndex next = cells()[rest].next;
    if (rest < live) free_cell(rest);
    rest = next;
  }
  for (std::uint32_t bucket = 0; bucket < bucket_count_; ++bucket) {
    for (CellIndex* link = &buckets()[bucket]; *link != kNone; link = &cells()[*link].next) {
      *link = relocate(*link, live);
      for (CellIndex* sharer = &cells()[*link].sharers; *sharer != kNone;
           sharer = &cells()[*sharer].next) {
        *sharer = relocate(*sharer, live);
      }
    }
  }
  CHECK(cells_free_ == 0, "every hole below the limit is filled");
  cells_touched_ = live;
}

RecentKeysFigures RecentKeys::figures() const {
  return {.key_count = key_count_,
          .sharer_count = sharer_count_,
          .size_bytes_used = sizeof(RecentKeys) + whole().size_bytes_used() +
                             std::uint64_t{cells_touched_} * sizeof(Cell) +
                             std::uint64_t{bucket_count_} * sizeof(CellIndex),
          .size_bytes_max = size_bytes_,
          .whole_commit_count = whole().count(),
          .whole_below = whole().window_begin(),
          .horizon = horizon_};
}

void RecentKeys::count(const Decision& decision) {
  switch (decision.verdict) {
    case Verdict::kCommitted:
      ++counters_.committed;
      return;
    case Verdict::kConflict:
      if (decision.as_a_whole) {
        ++counters_.whole_conflicts;
      } else {
        ++counters_.key_conflicts[static_cast<int>(decision.theirs)]
                                 [static_cast<int>(decision.ours.lock_class)];
      }
      return;
    case Verdict::kSchemaChanged:
      ++counters_.schema_changed;
      return;
  }
}

std::span<std::byte> RecentKeys::idle_memory() {
  auto* first = reinterpret_cast<std::byte*>(cells() + cells_touched_);
  return {first, static_cast<std::size_t>(reinterpret_cast<std::byte*>(buckets()) - first)};
}

}  // namespace zorya::adjudicator
