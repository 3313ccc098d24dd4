#include "query_processor/catalogue_history.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>

namespace zorya::query_processor {
namespace {

constexpr RelationId kTable = 16'400;
constexpr CatalogueVersion kStart = 1'000'000;

struct CatalogueHistoryTest : ::testing::Test {
  CatalogueHistoryTest() { history->begin_at(kStart); }
  std::unique_ptr<CatalogueHistory> history = std::make_unique<CatalogueHistory>();
  UsedRelations used;
};

TEST_F(CatalogueHistoryTest, WhoHasSeenLessThanTheStartIsOutOfDate) {
  EXPECT_EQ(history->changed_for_all(), kStart);
  EXPECT_EQ(used.last_change(*history), 0U);
  used.add(kTable);
  EXPECT_EQ(used.last_change(*history), kStart);
  EXPECT_EQ(history->changed(kTable), 0U);
}

TEST_F(CatalogueHistoryTest, AChangeTouchesWhoUsesTheRelation) {
  UsedRelations other;
  used.add(kTable);
  other.add(kTable + 1);
  history->note_change(kTable, kStart + 1);
  history->note_change(kTable, kStart + 3);
  EXPECT_EQ(used.last_change(*history), kStart + 3);
  EXPECT_EQ(other.last_change(*history), kStart);
  EXPECT_EQ(history->last_change(), kStart + 3);
}

TEST_F(CatalogueHistoryTest, AChangeForAllTouchesWhoeverUsesAnything) {
  history->note_change_for_all(kStart + 1);
  EXPECT_EQ(used.last_change(*history), 0U);
  used.add(kTable);
  EXPECT_EQ(used.last_change(*history), kStart + 1);
}

TEST_F(CatalogueHistoryTest, ACreationTouchesNobody) {
  used.add(kTable);
  history->note_creation(kTable, 77, kStart + 1);
  EXPECT_EQ(history->maker(kTable), 77U);
  EXPECT_EQ(history->maker(kTable + 1), 0U);
  EXPECT_EQ(used.last_change(*history), kStart);
  EXPECT_EQ(history->last_change(), kStart);
  history->note_change(kTable, kStart + 2);
  EXPECT_EQ(history->maker(kTable), 77U);
}

TEST_F(CatalogueHistoryTest, WhatDoesNotFitMakesEverybodyOutOfDate) {
  CatalogueVersion version = kStart;
  for (std::size_t i = 0; i < CatalogueHistory::kRelationsMax; ++i)
    history->note_change(kTable + static_cast<RelationId>(i), ++version);
  EXPECT_EQ(history->changed_for_all(), kStart);
  history->note_creation(1, 5, ++version);
  EXPECT_EQ(history->changed_for_all(), version);
  EXPECT_EQ(history->maker(1), 5U);
  EXPECT_EQ(history->changed(kTable), 0U);
}

TEST_F(CatalogueHistoryTest, ASessionWithTooManyRelationsUsesEverything) {
  for (std::size_t i = 0; i < UsedRelations::kRelationsMax; ++i) {
    used.add(kTable + static_cast<RelationId>(i));
    used.add(kTable + static_cast<RelationId>(i));
  }
  history->note_change(1, kStart + 1);
  EXPECT_EQ(used.last_change(*history), kStart);
  used.add(2);
  EXPECT_EQ(used.last_change(*history), kStart + 1);
}

TEST_F(CatalogueHistoryTest, ItAgreesWithAMap) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    const auto any_relation = [&] { return 16'384 + static_cast<RelationId>(random() % 3000); };
    std::map<RelationId, CatalogueVersion> model;
    UsedRelations some;
    CatalogueVersion wanted = kStart;
    history->begin_at(kStart);
    for (CatalogueVersion version = kStart + 1; version < kStart + 4000; ++version) {
      const RelationId relation = any_relation();
      if (random() % 4 == 0) {
        history->note_creation(relation, version, version);
      } else {
        history->note_change(relation, version);
        model[relation] = version;
      }
    }
    for (int i = 0; i < 200; ++i) {
      const RelationId relation = any_relation();
      some.add(relation);
      if (model.contains(relation)) wanted = std::max(wanted, model[relation]);
    }
    for (RelationId relation = 16'384; relation < 16'384 + 3000; ++relation)
      ASSERT_EQ(history->changed(relation), model.contains(relation) ? model[relation] : 0);
    ASSERT_EQ(some.last_change(*history), wanted) << "seed " << seed;
  }
}

}  // namespace
}  // namespace zorya::query_processor
