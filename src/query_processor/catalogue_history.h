#pragma once

#include "adjudicator/write_record.h"
#include "query_processor/write_set.h"

#include <array>
#include <cstdint>

namespace zorya::query_processor {

using adjudicator::CatalogueVersion;

/// Which relations changed at which version of the catalogue, and which transaction made those that
/// are new. Fixed size, no pointers: it lies in shared memory. What does not fit is forgotten with
/// everything else, and then whoever has not seen that version counts as out of date: one needless
/// OC001, never a missed one. Pure code: the caller holds a lock.
class CatalogueHistory {
 public:
  /// Half of what the slots hold at most, so that searches stay short.
  static constexpr std::size_t kRelationsMax = 8192;

  /// Forgets everything: whoever has seen less than `version` is out of date.
  void begin_at(CatalogueVersion version) noexcept;
  /// `relation` is changed, or gone, as of `version`, which is no less than any before.
  void note_change(RelationId relation, CatalogueVersion version) noexcept;
  /// Something changed that every session with a relation may use: a schema, a function, a role.
  void note_change_for_all(CatalogueVersion version) noexcept;
  /// `relation` is made by the transaction with the full id `maker`, which commits at `version` or
  /// later.
  void note_creation(RelationId relation, std::uint64_t maker, CatalogueVersion version) noexcept;

  /// The last change that touches `relation`; 0 if there is none since begin_at.
  [[nodiscard]] CatalogueVersion changed(RelationId relation) const noexcept;
  /// The last change that touches whoever uses anything: of what all use, or of what is forgotten.
  [[nodiscard]] CatalogueVersion changed_for_all() const noexcept { return changed_for_all_; }
  /// The last change of anything.
  [[nodiscard]] CatalogueVersion last_change() const noexcept { return last_change_; }
  /// The full id of the transaction that made `relation`; 0: not known, so long ago.
  [[nodiscard]] std::uint64_t maker(RelationId relation) const noexcept;

 private:
  static constexpr std::size_t kSlots = kRelationsMax * 2;
  struct Slot {
    RelationId relation;  // 0: free
    CatalogueVersion changed;
    std::uint64_t maker;
  };
  [[nodiscard]] const Slot* find(RelationId relation) const noexcept;
  Slot& slot_for(RelationId relation, CatalogueVersion version) noexcept;

  std::array<Slot, kSlots> slots_;
  std::size_t count_;
  CatalogueVersion changed_for_all_;
  CatalogueVersion last_change_;
};

/// The relations that a session has used. Fixed size; beyond it the session counts as one that uses
/// everything.
class UsedRelations {
 public:
  static constexpr std::size_t kRelationsMax = 512;

  void add(RelationId relation) noexcept;
  /// The last change in `history` that touches what is used here; 0 if nothing is.
  [[nodiscard]] CatalogueVersion last_change(const CatalogueHistory& history) const noexcept;

 private:
  static constexpr std::size_t kSlots = kRelationsMax * 2;
  std::array<RelationId, kSlots> slots_{};  // 0: free
  std::size_t count_ = 0;
  bool uses_everything_ = false;
};

}  // namespace zorya::query_processor
