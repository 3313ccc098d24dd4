#include "query_processor/catalogue_history.h"

#include <algorithm>

namespace zorya::query_processor {
namespace {

/// Where the search for `relation` begins: relations made one after the other lie apart.
template <std::size_t kSlots>
std::size_t first_slot(RelationId relation) noexcept {
  static_assert((kSlots & (kSlots - 1)) == 0);
  return (relation * 2654435769U) >> 7U & (kSlots - 1);
}

}  // namespace

void CatalogueHistory::begin_at(CatalogueVersion version) noexcept {
  slots_.fill({});
  count_ = 0;
  changed_for_all_ = last_change_ = version;
}

const CatalogueHistory::Slot* CatalogueHistory::find(RelationId relation) const noexcept {
  for (std::size_t i = first_slot<kSlots>(relation);; i = (i + 1) % kSlots) {
    if (slots_[i].relation == relation) return &slots_[i];
    if (slots_[i].relation == 0) return nullptr;
  }
}

CatalogueHistory::Slot& CatalogueHistory::slot_for(RelationId relation,
                                                   CatalogueVersion version) noexcept {
  if (const Slot* found = find(relation)) return const_cast<Slot&>(*found);
  if (count_ == kRelationsMax) begin_at(version);
  std::size_t i = first_slot<kSlots>(relation);
  while (slots_[i].relation != 0) i = (i + 1) % kSlots;
  ++count_;
  slots_[i].relation = relation;
  return slots_[i];
}

void CatalogueHistory::note_change(RelationId relation, CatalogueVersion version) noexcept {
  slot_for(relation, version).changed = version;
  last_change_ = version;
}

void CatalogueHistory::note_change_for_all(CatalogueVersion version) noexcept {
  changed_for_all_ = last_change_ = version;
}

void CatalogueHistory::note_creation(RelationId relation, std::uint64_t maker,
                                     CatalogueVersion version) noexcept {
  slot_for(relation, version).maker = maker;
}

CatalogueVersion CatalogueHistory::changed(RelationId relation) const noexcept {
  const Slot* slot = find(relation);
  return slot != nullptr ? slot->changed : 0;
}

std::uint64_t CatalogueHistory::maker(RelationId relation) const noexcept {
  const Slot* slot = find(relation);
  return slot != nullptr ? slot->maker : 0;
}

void UsedRelations::add(RelationId relation) noexcept {
  std::size_t i = first_slot<kSlots>(relation);
  for (; slots_[i] != 0; i = (i + 1) % kSlots) {
    if (slots_[i] == relation) return;
  }
  if (count_ == kRelationsMax) {
    uses_everything_ = true;
    return;
  }
  ++count_;
  slots_[i] = relation;
}

CatalogueVersion UsedRelations::last_change(const CatalogueHistory& history) const noexcept {
  if (count_ == 0) return 0;
  if (uses_everything_) return history.last_change();
  CatalogueVersion last = history.changed_for_all();
  for (const RelationId relation : slots_) {
    if (relation != 0) last = std::max(last, history.changed(relation));
  }
  return last;
}

}  // namespace zorya::query_processor
