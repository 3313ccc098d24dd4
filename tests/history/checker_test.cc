#include "checker.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace zorya::history {
namespace {

constexpr Key kX = 1;
constexpr Key kY = 2;

Value value_of(TransactionIndex writer, Value number = 0) {
  return writer * kValuesPerTransaction + number;
}

Operation read(Key key, const std::vector<Value>& seen) {
  return {Operation::Kind::kRead, key, static_cast<std::uint32_t>(seen.size()), digest_of(seen), 0};
}
Operation locked_read(Key key, const std::vector<Value>& seen) {
  Operation operation = read(key, seen);
  operation.kind = Operation::Kind::kLockedRead;
  return operation;
}
Operation append(Key key, Value value) { return {Operation::Kind::kAppend, key, 0, 0, value}; }

/// All at the same time, unless told otherwise.
Transaction committed(std::vector<Operation> operations, std::int64_t began = 0,
                      std::int64_t ended = 100) {
  return {began, ended, Outcome::kCommitted, std::move(operations)};
}
Transaction refused(std::vector<Operation> operations) {
  return {0, 100, Outcome::kAborted, std::move(operations)};
}

std::uint64_t count_of(const Findings& findings, const std::string& kind) {
  const auto found = findings.counts.find(kind);
  return found == findings.counts.end() ? 0 : found->second;
}

TEST(Checker, ASerialHistoryIsSound) {
  History history;
  history.transactions = {committed({read(kX, {}), append(kX, value_of(0))}, 0, 1),
                          committed({read(kX, {value_of(0)}), append(kX, value_of(1))}, 2, 3)};
  history.lists[kX] = {value_of(0), value_of(1)};
  EXPECT_TRUE(check(history).none());
}

TEST(Checker, FindsALostUpdate) {
  // Both read the empty list and wrote it back; the second write buried the first.
  History history;
  history.transactions = {committed({read(kX, {}), append(kX, value_of(0))}),
                          committed({read(kX, {}), append(kX, value_of(1))})};
  history.lists[kX] = {value_of(1)};
  EXPECT_EQ(count_of(check(history), "lost update"), 1U);
}

TEST(Checker, FindsASecondCommitterThatDidNotSeeTheFirst) {
  // Nothing is lost, and yet T1 did not see what it appended to.
  History history;
  history.transactions = {committed({append(kX, value_of(0))}),
                          committed({read(kX, {}), append(kX, value_of(1))})};
  history.lists[kX] = {value_of(0), value_of(1)};
  EXPECT_EQ(count_of(check(history), "forbidden cycle"), 1U);
}

TEST(Checker, FindsASkewedRead) {
  // T1 sees T0's write of x and not its write of y.
  History history;
  history.transactions = {committed({append(kX, value_of(0)), append(kY, value_of(0, 1))}),
                          committed({read(kX, {value_of(0)}), read(kY, {})})};
  history.lists[kX] = {value_of(0)};
  history.lists[kY] = {value_of(0, 1)};
  EXPECT_EQ(count_of(check(history), "forbidden cycle"), 1U);
}

TEST(Checker, FindsASkewedReadOfARefusedTransaction) {
  History history;
  history.transactions = {
      committed({append(kX, value_of(0)), append(kY, value_of(0, 1))}),
      refused({read(kX, {value_of(0)}), read(kY, {}), append(kX, value_of(1))})};
  history.lists[kX] = {value_of(0)};
  history.lists[kY] = {value_of(0, 1)};
  EXPECT_EQ(count_of(check(history), "forbidden cycle"), 1U);
}

TEST(Checker, FindsALongFork) {
  // Two readers disagree about which of two writes came first.
  History history;
  history.transactions = {committed({append(kX, value_of(0))}),
                          committed({append(kY, value_of(1))}),
                          committed({read(kX, {value_of(0)}), read(kY, {})}),
                          committed({read(kX, {}), read(kY, {value_of(1)})})};
  history.lists[kX] = {value_of(0)};
  history.lists[kY] = {value_of(1)};
  EXPECT_EQ(count_of(check(history), "forbidden cycle"), 1U);
}

TEST(Checker, AllowsAWriteSkew) {
  History history;
  history.transactions = {committed({read(kX, {}), read(kY, {}), append(kX, value_of(0))}),
                          committed({read(kX, {}), read(kY, {}), append(kY, value_of(1))})};
  history.lists[kX] = {value_of(0)};
  history.lists[kY] = {value_of(1)};
  EXPECT_TRUE(check(history).none());
}

TEST(Checker, FindsAWriteSkewOfLockedReads) {
  History history;
  const Value first = value_of(0);
  history.transactions = {
      committed({append(kX, first), append(kY, value_of(0, 1))}, 0, 1),
      committed({locked_read(kY, {value_of(0, 1)}), append(kX, value_of(1))}, 2, 9),
      committed({locked_read(kX, {first}), append(kY, value_of(2))}, 2, 9)};
  history.lists[kX] = {first, value_of(1)};
  history.lists[kY] = {value_of(0, 1), value_of(2)};
  EXPECT_EQ(count_of(check(history), "forbidden cycle"), 1U);
}

TEST(Checker, FindsAStaleRead) {
  // T1 began after T0 was acknowledged and does not see it.
  History history;
  history.transactions = {committed({append(kX, value_of(0))}, 0, 10),
                          committed({read(kX, {})}, 11, 12)};
  history.lists[kX] = {value_of(0)};
  EXPECT_EQ(count_of(check(history), "forbidden cycle"), 1U);
  history.transactions[1].began_ns = 9;
  EXPECT_TRUE(check(history).none());
}

TEST(Checker, FindsDirtyData) {
  History history;
  history.transactions = {refused({append(kX, value_of(0))}), committed({read(kX, {value_of(0)})})};
  history.lists[kX] = {};
  EXPECT_EQ(count_of(check(history), "read of what never was"), 1U);
  history.lists[kX] = {value_of(0)};
  EXPECT_EQ(count_of(check(history), "dirty write"), 1U);
}

TEST(Checker, FindsAReadOfHalfATransaction) {
  History history;
  history.transactions = {committed({append(kX, value_of(0)), append(kX, value_of(0, 1))}),
                          committed({read(kX, {value_of(0)})})};
  history.lists[kX] = {value_of(0), value_of(0, 1)};
  EXPECT_EQ(count_of(check(history), "read of half a transaction"), 1U);
}

TEST(Checker, ATransactionMustSeeItsOwnWrites) {
  History history;
  history.transactions = {
      committed({append(kX, value_of(0)), read(kX, {value_of(0)}), append(kX, value_of(0, 1))})};
  history.lists[kX] = {value_of(0), value_of(0, 1)};
  EXPECT_TRUE(check(history).none());
  history.transactions[0].operations[1] = read(kX, {});
  EXPECT_EQ(count_of(check(history), "read of what never was"), 1U);
}

TEST(Checker, AnUnknownOutcomeIsAllOrNothing) {
  History history;
  history.transactions = {
      {0, 100, Outcome::kUnknown, {append(kX, value_of(0)), append(kY, value_of(0, 1))}}};
  EXPECT_TRUE(check(history).none());
  history.lists[kX] = {value_of(0)};
  EXPECT_EQ(count_of(check(history), "half a commit"), 1U);
  history.lists[kY] = {value_of(0, 1)};
  EXPECT_TRUE(check(history).none());
}

TEST(Checker, ASavedHistoryIsTheSame) {
  History history;
  history.transactions = {committed({append(kX, value_of(0))}, 5, 6),
                          committed({locked_read(kX, {}), append(kX, value_of(1))}, 7, 8)};
  history.lists[kX] = {value_of(1)};
  const auto path =
      std::filesystem::temp_directory_path() / ("history-" + std::to_string(getpid()));
  history.oddities = {"list 1 has two rows"};
  ASSERT_TRUE(save(history, path));
  const auto loaded = load(path);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(check(*loaded).counts, check(history).counts);
  EXPECT_EQ(loaded->transactions[1].operations[0].kind, Operation::Kind::kLockedRead);
  std::filesystem::resize_file(path, 20);
  EXPECT_FALSE(load(path));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace zorya::history
