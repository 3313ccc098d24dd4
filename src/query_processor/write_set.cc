#include "query_processor/write_set.h"

#include <algorithm>

namespace zorya::query_processor {
namespace {

// No heap has blocks from here on in practice (16 TiB a table), and InvalidBlockNumber is kept
// apart.
constexpr std::uint32_t kTransientBlock = 0x80000000U;
constexpr std::uint32_t kVersionsPerBlock = 256;
// What a transaction of 3,000 rows leaves is kept for the next one; more is given back.
constexpr std::size_t kKeptCapacity = 16'384;
constexpr std::size_t kPlacesMin = 64;

std::size_t place_hash(StorageId storage, RowId row) noexcept {
  std::uint64_t x = (std::uint64_t{storage} << 32 | row.block) * 0xff51afd7ed558ccdU + row.offset;
  x ^= x >> 32;
  x *= 0x9e3779b97f4a7c15U;
  return x ^ (x >> 29);
}

}  // namespace

Entry* WriteSet::find_any(StorageId storage, RowId row) const noexcept {
  if (!may_hold(storage, row.block)) return nullptr;
  const std::size_t mask = places_.size() - 1;
  for (std::size_t slot = place_hash(storage, row) & mask; places_[slot] != 0;
       slot = (slot + 1) & mask) {
    Entry& entry = entries_[places_[slot] - 1];
    if (entry.base == row && entry.storage == storage) return &entry;
  }
  return nullptr;
}

std::uint32_t WriteSet::free_slot(StorageId storage, RowId row) const noexcept {
  const std::size_t mask = places_.size() - 1;
  std::size_t slot = place_hash(storage, row) & mask;
  while (places_[slot] != 0) slot = (slot + 1) & mask;
  return static_cast<std::uint32_t>(slot);
}

void WriteSet::grow_places() {
  places_ = std::vector<std::uint32_t>(std::max(places_.size() * 2, kPlacesMin));
  for (std::size_t n = 0; n < entries_.size(); ++n) {
    Entry& entry = entries_[n];
    entry.slot = free_slot(entry.storage, entry.base);
    places_[entry.slot] = static_cast<std::uint32_t>(n + 1);
  }
}

Entry* WriteSet::find_changed_in(StorageId storage, RowId row,
                                 CommandNumber command) const noexcept {
  Entry* entry = find_any(storage, row);
  if (entry == nullptr || entry->newest == nullptr) return nullptr;
  return entry->applied_in == 0 || command <= entry->applied_by ? entry : nullptr;
}

Entry& WriteSet::add_entry(RelationId relation, StorageId storage, RowId row,
                           RowIdentity identity) {
  if ((entries_.size() + 1) * 2 > places_.size()) grow_places();
  const std::uint32_t slot = free_slot(storage, row);
  entries_.push_back({.relation = relation,
                      .storage = storage,
                      .base = row,
                      .identity = identity.hash,
                      .identity_is_key = identity.is_key,
                      .also_by_place = identity.also_by_place,
                      .place = identity.place,
                      .applied_row = {},
                      .slot = slot});
  places_[slot] = static_cast<std::uint32_t>(entries_.size());
  const std::uint32_t bit = filter_bit(storage, row.block);
  filter_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  return entries_.back();
}

std::uint32_t& WriteSet::hidden_of(RelationId relation) {
  for (Hidden& hidden : hidden_) {
    if (hidden.relation == relation) return hidden.count;
  }
  return hidden_.emplace_back(Hidden{relation, 0}).count;
}

std::uint32_t WriteSet::hidden_count(RelationId relation) const noexcept {
  for (const Hidden& hidden : hidden_) {
    if (hidden.relation == relation) return hidden.count;
  }
  return 0;
}

Version& WriteSet::push(Entry& entry, const Change& change) {
  std::uint32_t& hidden = hidden_of(entry.relation);
  log_.push_back(nullptr);
  const std::size_t number = versions_.size();
  const Version made{
      .command = change.command,
      .subtransaction = change.subtransaction,
      .tuple = change.tuple,
      .transient = {kTransientBlock + static_cast<std::uint32_t>(number / kVersionsPerBlock),
                    static_cast<std::uint16_t>(1 + number % kVersionsPerBlock)},
      .entry = &entry,
      .older = entry.newest,
      .moved_to = {},
      .key_changed = change.key_changed,
      .left_partition = change.left_partition};
  try {
    versions_.push_back(made);
  } catch (...) {
    log_.pop_back();
    throw;
  }
  Version& version = versions_.back();
  if (entry.newest == nullptr) ++row_count_;
  entry.newest = &version;
  log_.back() = &version;
  first_command_ = std::min(first_command_, change.command);
  if (change.tuple == nullptr) {
    ++hidden;
    ++hidden_total_;
  }
  return version;
}

Version* WriteSet::visible(const Entry& entry, CommandNumber command) noexcept {
  Version* version = entry.newest;
  while (version != nullptr && version->command >= command) version = version->older;
  return version;
}

Version* WriteSet::oldest(const Entry& entry) noexcept {
  Version* version = entry.newest;
  while (version->older != nullptr) version = version->older;
  return version;
}

bool WriteSet::is_transient(RowId row) noexcept {
  return row.block >= kTransientBlock && row.block != 0xffffffffU;
}

Version* WriteSet::version_at(RowId transient) noexcept {
  if (!is_transient(transient) || transient.offset == 0 || transient.offset > kVersionsPerBlock) {
    return nullptr;
  }
  const std::size_t number =
      std::size_t{transient.block - kTransientBlock} * kVersionsPerBlock + transient.offset - 1;
  return number < versions_.size() ? &versions_[number] : nullptr;
}

bool WriteSet::add_mark(Entry& entry, adjudicator::LockClass lock_class) {
  if (is_marked(entry, lock_class)) return false;
  add_key({entry.identity, lock_class, entry.relation});
  if (entry.also_by_place) add_key({entry.place, lock_class, entry.relation});
  entry.marked_classes |= static_cast<std::uint8_t>(1U << static_cast<unsigned>(lock_class));
  ++mark_count_;
  return true;
}

void WriteSet::add_own_mark(adjudicator::KeyChange mark) {
  auto& known = own_marks_[static_cast<std::size_t>(mark.lock_class)];
  const auto [place, is_new] = known.insert(mark.key);
  if (!is_new) return;
  try {
    add_key(mark);
  } catch (...) {
    known.erase(place);
    throw;
  }
}

std::span<const adjudicator::KeyChange> WriteSet::keys_to_adjudicate() {
  using adjudicator::LockClass;
  all_keys_ = keys_;
  for (std::size_t n = 0; n < entries_.size(); ++n) {
    const Entry& entry = entries_[n];
    if (!is_pending(entry)) continue;
    bool key_changed = !entry.identity_is_key;
    for (const Version* v = entry.newest; v != nullptr; v = v->older) key_changed |= v->key_changed;
    const LockClass lock_class = key_changed ? LockClass::kUpdate : LockClass::kNoKeyUpdate;
    all_keys_.push_back({entry.identity, lock_class, entry.relation});
    if (entry.also_by_place) all_keys_.push_back({entry.place, lock_class, entry.relation});
  }
  return all_keys_;
}

std::span<Entry* const> WriteSet::entries_to_apply() {
  to_apply_.clear();
  for (std::size_t n = 0; n < entries_.size(); ++n) {
    Entry& entry = entries_[n];
    if (is_pending(entry)) to_apply_.push_back(&entry);
  }
  const auto comes_first = [](const Entry* a, const Entry* b) {
    return a->relation != b->relation ? a->relation < b->relation : a->base < b->base;
  };
  // Most statements come by in the order of the heap.
  if (!std::is_sorted(to_apply_.begin(), to_apply_.end(), comes_first))
    std::sort(to_apply_.begin(), to_apply_.end(), comes_first);
  return to_apply_;
}

void WriteSet::start_subtransaction(SubtransactionNumber number) {
  subtransactions_.push_back({number, keys_.size(), row_count_, mark_count_});
}

void WriteSet::abort_subtransaction(SubtransactionNumber number) noexcept {
  while (!log_.empty() && log_.back()->subtransaction >= number) {
    Version* version = log_.back();
    log_.pop_back();
    version->entry->newest = version->older;
    if (version->tuple == nullptr) {
      --hidden_total_;
      --hidden_of(version->entry->relation);
    }
  }
  while (!subtransactions_.empty() && subtransactions_.back().subtransaction >= number) {
    const Mark mark = subtransactions_.back();
    subtransactions_.pop_back();
    if (mark.key_count < keys_.size()) keys_.resize(mark.key_count);
    row_count_ = mark.row_count;
    mark_count_ = mark.mark_count;
  }
  for (std::size_t n = 0; n < entries_.size(); ++n) {
    Entry& entry = entries_[n];
    if (entry.applied_in >= number) entry.applied_in = 0;
    // A mark may be among the keys that went; noting it once more is harmless.
    entry.marked_classes = 0;
  }
  for (auto& marks : own_marks_) marks.clear();
}

void WriteSet::clear() noexcept {
  if (!entries_.empty()) {
    if (entries_.size() > kKeptCapacity) {
      std::vector<std::uint32_t>().swap(places_);
      std::vector<Entry*>().swap(to_apply_);
    } else {
      for (std::size_t n = 0; n < entries_.size(); ++n) places_[entries_[n].slot] = 0;
    }
    entries_.clear(kKeptCapacity);
    versions_.clear(kKeptCapacity);
    // One row may have been changed very often.
    if (log_.capacity() > kKeptCapacity) std::vector<Version*>().swap(log_);
    log_.clear();
    filter_.fill(0);
  }
  to_apply_.clear();
  all_keys_.clear();
  if (keys_.capacity() > kKeptCapacity) std::vector<adjudicator::KeyChange>().swap(keys_);
  if (all_keys_.capacity() > kKeptCapacity) std::vector<adjudicator::KeyChange>().swap(all_keys_);
  keys_.clear();
  for (auto& marks : own_marks_) {
    if (!marks.empty()) std::remove_reference_t<decltype(marks)>().swap(marks);
  }
  if (subtransactions_.capacity() > kKeptCapacity) std::vector<Mark>().swap(subtransactions_);
  subtransactions_.clear();
  hidden_.clear();
  hidden_total_ = 0;
  row_count_ = 0;
  mark_count_ = 0;
  first_command_ = kNoCommand;
}

}  // namespace zorya::query_processor
