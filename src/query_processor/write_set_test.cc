#include "query_processor/write_set.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace zorya::query_processor {
namespace {

using adjudicator::KeyChange;
using adjudicator::KeyHash;
using adjudicator::LockClass;

constexpr RelationId kTable = 16'400;
constexpr CommandNumber kNow = 0xffffffffU;

struct WriteSetTest : ::testing::Test {
  Entry& entry(std::uint32_t block, std::uint16_t offset, bool is_key = true) {
    if (Entry* known = set.find_any(kTable, {block, offset})) return *known;
    return set.add_entry(kTable, kTable, {block, offset}, {{block, offset}, is_key, false, {}});
  }
  bool is_pending(std::uint32_t block, std::uint16_t offset) {
    const Entry* known = set.find_any(kTable, {block, offset});
    return known != nullptr && WriteSet::is_pending(*known);
  }
  WriteSet set;
  int a = 0, b = 0;  // what tuples point to
};

TEST_F(WriteSetTest, AReaderSeesWhatEarlierCommandsDid) {
  Entry& row = entry(1, 1);
  EXPECT_FALSE(is_pending(1, 1));
  const Version& first = set.push(row, {.command = 3, .subtransaction = 1, .tuple = &a});
  const Version& second = set.push(row, {.command = 5, .subtransaction = 1, .tuple = &b});
  EXPECT_TRUE(is_pending(1, 1));
  EXPECT_EQ(WriteSet::visible(row, 3), nullptr);
  EXPECT_EQ(WriteSet::visible(row, 4), &first);
  EXPECT_EQ(WriteSet::visible(row, 5), &first);
  EXPECT_EQ(WriteSet::visible(row, 6), &second);
  EXPECT_EQ(WriteSet::oldest(row), &first);
}

TEST_F(WriteSetTest, TransientPlacesLeadBackToTheirVersions) {
  Entry& row = entry(1, 1);
  std::vector<RowId> places;
  for (CommandNumber n = 0; n < 700; ++n) {
    places.push_back(set.push(row, {.command = n, .subtransaction = 1, .tuple = &a}).transient);
  }
  for (CommandNumber n = 0; n < 700; ++n) {
    ASSERT_TRUE(WriteSet::is_transient(places[n]));
    ASSERT_EQ(set.version_at(places[n])->command, n);
  }
  EXPECT_EQ(set.version_at({places.back().block, 257}), nullptr);
  EXPECT_EQ(set.version_at({places.back().block + 1, 1}), nullptr);
  EXPECT_EQ(set.version_at({1, 1}), nullptr);
  EXPECT_FALSE(WriteSet::is_transient({0xffffffffU, 1}));
}

TEST_F(WriteSetTest, ARollbackTakesBackVersionsKeysAndCounts) {
  Entry& row = entry(1, 1);
  set.push(row, {.command = 1, .subtransaction = 1, .tuple = &a});
  set.add_key({KeyHash{7, 7}, LockClass::kUpdate});
  set.start_subtransaction(2);
  set.push(row, {.command = 2, .subtransaction = 2});
  set.push(entry(1, 2), {.command = 2, .subtransaction = 2});
  set.add_key({KeyHash{8, 8}, LockClass::kUpdate});
  set.start_subtransaction(3);
  set.push(row, {.command = 3, .subtransaction = 3, .tuple = &b});
  EXPECT_EQ(set.row_count(), 2u);
  EXPECT_EQ(set.hidden_count(kTable), 2u);
  set.abort_subtransaction(2);
  EXPECT_EQ(WriteSet::visible(row, kNow)->tuple, &a);
  EXPECT_FALSE(is_pending(1, 2));
  EXPECT_EQ(set.find_changed(kTable, {1, 2}, kNow), nullptr);
  EXPECT_EQ(set.row_count(), 1u);
  EXPECT_EQ(set.hidden_count(), 0u);
  ASSERT_EQ(set.keys_to_adjudicate().size(), 2u);
  EXPECT_EQ(set.keys_to_adjudicate()[0].key, (KeyHash{7, 7}));
}

TEST_F(WriteSetTest, AnOwnRowThatIsReadAgainAndAgainIsMarkedOnce) {
  for (int n = 0; n < 100; ++n) {
    set.add_own_mark({KeyHash{7, 7}, LockClass::kKeyShare});
    set.add_own_mark({KeyHash{7, 7}, LockClass::kUpdate});
  }
  EXPECT_EQ(set.keys_to_adjudicate().size(), 2u);
  set.start_subtransaction(2);
  set.add_own_mark({KeyHash{8, 8}, LockClass::kUpdate});
  set.abort_subtransaction(2);
  EXPECT_EQ(set.keys_to_adjudicate().size(), 2u);
  set.add_own_mark({KeyHash{8, 8}, LockClass::kUpdate});
  EXPECT_EQ(set.keys_to_adjudicate().size(), 3u);
  set.clear();
  set.add_own_mark({KeyHash{8, 8}, LockClass::kUpdate});
  EXPECT_EQ(set.keys_to_adjudicate().size(), 1u);
}

TEST_F(WriteSetTest, ARollbackRevivesWhatWasAppliedInIt) {
  Entry& row = entry(1, 1);
  set.push(row, {.command = 1, .subtransaction = 1, .tuple = &a});
  set.start_subtransaction(2);
  row.applied_in = 2;
  row.applied_by = 5;
  EXPECT_FALSE(is_pending(1, 1));
  EXPECT_EQ(set.find_changed(kTable, {1, 1}, 5), &row);  // an older snapshot reads it still
  EXPECT_EQ(set.find_changed(kTable, {1, 1}, 6), nullptr);
  EXPECT_TRUE(set.entries_to_apply().empty());
  set.abort_subtransaction(2);
  EXPECT_TRUE(is_pending(1, 1));
  EXPECT_EQ(set.entries_to_apply().size(), 1u);
}

TEST_F(WriteSetTest, TheClassOfARowIsThatOfItsStrongestChange) {
  set.push(entry(1, 1), {.command = 1, .subtransaction = 1, .tuple = &a});
  Entry& moved = entry(1, 2);
  set.push(moved, {.command = 1, .subtransaction = 1, .key_changed = true});
  set.push(entry(1, 3, /*is_key=*/false), {.command = 1, .subtransaction = 1, .tuple = &a});
  entry(1, 4);  // made by a mark, without a version
  const auto keys = set.keys_to_adjudicate();
  ASSERT_EQ(keys.size(), 3u);
  EXPECT_EQ(keys[0].lock_class, LockClass::kNoKeyUpdate);
  EXPECT_EQ(keys[1].lock_class, LockClass::kUpdate);
  EXPECT_EQ(keys[2].lock_class, LockClass::kUpdate);
}

TEST_F(WriteSetTest, ClearGivesBackWhatOneRowChangedOftenTook) {
  set.push(entry(1, 1), {.command = 1, .subtransaction = 1, .tuple = &a});
  set.clear();
  const auto used = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
  const std::size_t before = used();
  for (CommandNumber n = 0; n < 200'000; ++n) {
    set.push(entry(1, 1), {.command = n, .subtransaction = 1, .tuple = &a});
    set.start_subtransaction(n + 2);
  }
  EXPECT_GT(used(), before + (16U << 20));
  set.clear();
  EXPECT_LT(used(), before + (2U << 20));  // what the next transaction may need
}

TEST_F(WriteSetTest, PlacesInAnotherFileAreOtherRows) {
  constexpr StorageId kRewritten = 16'500;
  Entry& row = entry(1, 1);
  set.push(row, {.command = 1, .subtransaction = 1});
  EXPECT_EQ(set.find_any(kRewritten, {1, 1}), nullptr);
  Entry& other = set.add_entry(kTable, kRewritten, {1, 1}, {KeyHash{9, 9}, true, false, {}});
  EXPECT_EQ(set.find_any(kRewritten, {1, 1}), &other);
  EXPECT_EQ(set.find_any(kTable, {1, 1}), &row);
}

TEST_F(WriteSetTest, ARowWhoseKeyMayBeNewIsClaimedByItsPlaceToo) {
  Entry& row = set.add_entry(kTable, kTable, {5, 5}, {KeyHash{1, 1}, true, true, KeyHash{2, 2}});
  set.add_mark(row, LockClass::kKeyShare);
  set.push(row, {.command = 1, .subtransaction = 1, .tuple = &a});
  const auto keys = set.keys_to_adjudicate();
  ASSERT_EQ(keys.size(), 4u);
  EXPECT_EQ(keys[1].key, (KeyHash{2, 2}));
  EXPECT_EQ(keys[1].lock_class, LockClass::kKeyShare);
  EXPECT_EQ(keys[3].key, (KeyHash{2, 2}));
  EXPECT_EQ(keys[3].lock_class, LockClass::kNoKeyUpdate);
}

TEST_F(WriteSetTest, AMarkIsNotedOnceAndAgainAfterARollback) {
  Entry& row = entry(1, 1);
  set.start_subtransaction(2);
  EXPECT_TRUE(set.add_mark(row, LockClass::kKeyShare));
  EXPECT_FALSE(set.add_mark(row, LockClass::kKeyShare));
  EXPECT_TRUE(set.add_mark(row, LockClass::kUpdate));
  EXPECT_EQ(set.keys_to_adjudicate().size(), 2u);
  set.abort_subtransaction(2);
  EXPECT_EQ(set.keys_to_adjudicate().size(), 0u);
  EXPECT_TRUE(set.add_mark(row, LockClass::kKeyShare));
  EXPECT_EQ(set.keys_to_adjudicate().size(), 1u);
}

TEST_F(WriteSetTest, AppliesInTheOrderOfTheHeap) {
  for (const RowId row : {RowId{9, 2}, RowId{3, 7}, RowId{9, 1}, RowId{3, 1}}) {
    set.push(entry(row.block, row.offset), {.command = 1, .subtransaction = 1, .tuple = &a});
  }
  std::vector<RowId> order;
  for (const Entry* e : set.entries_to_apply()) order.push_back(e->base);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(order.size(), 4u);
}

TEST_F(WriteSetTest, BlocksWithoutEntriesAreMostlyKnownToBeFree) {
  set.push(entry(77, 1), {.command = 1, .subtransaction = 1});
  EXPECT_TRUE(set.may_hold(kTable, 77));
  int maybe = 0;
  for (std::uint32_t block = 100; block < 10'100; ++block) maybe += set.may_hold(kTable, block);
  EXPECT_LT(maybe, 10);
}

TEST_F(WriteSetTest, ClearForgetsEverything) {
  set.push(entry(1, 1), {.command = 1, .subtransaction = 1});
  set.add_key({KeyHash{1, 1}, LockClass::kUpdate});
  set.clear();
  EXPECT_TRUE(set.empty());
  EXPECT_TRUE(set.nothing_to_commit());
  EXPECT_FALSE(set.may_hold(kTable, 1));
  EXPECT_EQ(set.hidden_count(), 0u);
  EXPECT_EQ(set.row_count(), 0u);
}

/// Beside the write set a plain list of changes; what a reader at any command sees must agree.
TEST(WriteSet, AgreesWithAPlainModelFromRandomSeeds) {
  struct Done {
    SubtransactionNumber subtransaction;
    CommandNumber command;
    std::uint16_t row;
    void* tuple;
  };
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    WriteSet set;
    std::vector<Done> model;
    std::vector<SubtransactionNumber> open{1};
    SubtransactionNumber last_subtransaction = 1;
    std::vector<int> tuples(400);
    for (CommandNumber command = 1; command < 300; ++command) {
      const auto what = random() % 10;
      if (what == 0) {
        open.push_back(++last_subtransaction);
        set.start_subtransaction(last_subtransaction);
      } else if (what == 1 && open.size() > 1) {
        open.pop_back();  // commit: its changes are the parent's, by number order
      } else if (what == 2 && open.size() > 1) {
        const auto aborted = open.back();
        open.pop_back();
        std::erase_if(model, [&](const Done& d) { return d.subtransaction >= aborted; });
        set.abort_subtransaction(aborted);
      } else {
        const auto row = static_cast<std::uint16_t>(1 + random() % 8);
        void* tuple = random() % 3 == 0 ? nullptr : &tuples[command];
        Entry* known = set.find_any(kTable, {row, row});
        if (known == nullptr)
          known = &set.add_entry(kTable, kTable, {row, row}, {{row, 0}, true, false, {}});
        set.push(*known, {.command = command, .subtransaction = open.back(), .tuple = tuple});
        model.push_back({open.back(), command, row, tuple});
      }
      const auto reader = static_cast<CommandNumber>(random() % (command + 2));
      std::uint32_t rows = 0;
      std::uint32_t hidden = 0;
      for (const Done& d : model) hidden += d.tuple == nullptr;
      for (std::uint16_t row = 1; row <= 8; ++row) {
        const Done* expected = nullptr;
        bool any = false;
        for (const Done& d : model) {
          if (d.row != row) continue;
          any = true;
          if (d.command < reader) expected = &d;
        }
        rows += any;
        const Entry* entry = set.find_any(kTable, {row, row});
        ASSERT_EQ(entry != nullptr && WriteSet::is_pending(*entry), any) << "seed " << seed;
        entry = set.find_changed(kTable, {row, row}, reader);
        const Version* seen = entry == nullptr ? nullptr : WriteSet::visible(*entry, reader);
        ASSERT_EQ(seen != nullptr, expected != nullptr) << "seed " << seed;
        if (seen != nullptr) {
          ASSERT_EQ(seen->tuple, expected->tuple) << "seed " << seed;
        }
      }
      ASSERT_EQ(set.row_count(), rows) << "seed " << seed;
      ASSERT_EQ(set.hidden_count(kTable), hidden) << "seed " << seed;
    }
  }
}

TEST(StableVector, ElementsStayWhereTheyAre) {
  StableVector<int> numbers;
  const int* first = &numbers.push_back(0);
  for (int n = 1; n < 3000; ++n) numbers.push_back(n);
  EXPECT_EQ(&numbers[0], first);
  EXPECT_EQ(numbers[2999], 2999);
  numbers.pop_back();
  EXPECT_EQ(numbers.back(), 2998);
  numbers.clear(300);
  EXPECT_TRUE(numbers.empty());
  EXPECT_EQ(&numbers.push_back(7), first);
  EXPECT_EQ(numbers.size(), 1U);
}

TEST(WriteSet, FindsEveryRowOfALargeTransactionAndNoneOfTheOneBefore) {
  WriteSet set;
  for (int round = 0; round < 2; ++round) {
    for (std::uint32_t block = 0; block < 500; ++block) {
      for (std::uint16_t offset = 1; offset <= 20; ++offset) {
        ASSERT_EQ(set.find_any(7, {block, offset}), nullptr);
        set.push(set.add_entry(7, 7, {block, offset}, {}), {.command = 1});
      }
    }
    for (std::uint32_t block = 0; block < 500; ++block)
      ASSERT_EQ(set.find_any(7, {block, 20})->base, (RowId{block, 20}));
    EXPECT_EQ(set.find_any(8, {1, 20}), nullptr);
    set.clear();
  }
}

}  // namespace
}  // namespace zorya::query_processor
