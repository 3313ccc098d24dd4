#include "telemetry/store.h"

#include "base/files.h"
#include "base/random.h"
#include "telemetry/reader.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

namespace zorya::telemetry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::system_clock;

constexpr seconds kPatience{20};
const std::string kTraceId = "1-6733a0ce-0123456789abcdef01234567";

std::string document(std::string_view id, std::string_view more, std::string trace = kTraceId) {
  return R"({"trace_id":")" + trace + R"(","id":")" + std::string(id) + R"(","start_time":100.5,)" +
         std::string(more) + "}";
}

LogEvent event(std::string message, std::string stream = "s1", std::string group = "/aws/lambda/f",
               system_clock::time_point time = system_clock::from_time_t(1000)) {
  return LogEvent{time, std::move(group), std::move(stream), std::move(message)};
}

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("zorya-store-" + base::random_alphanumeric(8));
    ASSERT_TRUE(base::make_folder(folder_, 0700));
    path_ = folder_ / "telemetry.sqlite";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Store> open(Limits limits = {}) {
    auto store = Store::open(path_, limits);
    EXPECT_TRUE(store) << to_string(store.error());
    return std::move(store).value();
  }
  std::unique_ptr<Reader> read() {
    auto reader = Reader::open(path_);
    EXPECT_TRUE(reader) << to_string(reader.error());
    return std::move(reader).value();
  }
  std::vector<std::string> messages(const LogQuery& query) {
    const auto page = read()->logs(query);
    EXPECT_TRUE(page);
    std::vector<std::string> messages;
    for (const LogEvent& found : page->events) messages.push_back(found.message);
    return messages;
  }
  int count_set_aside() {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().string().find(".set-aside-") != std::string::npos) ++count;
    }
    return count;
  }

  std::filesystem::path folder_;
  std::filesystem::path path_;
};

using Strings = std::vector<std::string>;

TEST_F(StoreTest, LogsAreFoundByGroupStreamTimeAndText) {
  const auto store = open();
  store->log(event("one"));
  store->log(event("two", "s2"));
  store->log(event("three", "s1", "/other"));
  store->log(event("four", "s1", "/aws/lambda/f", system_clock::from_time_t(2000)));
  ASSERT_TRUE(store->flush(kPatience));
  EXPECT_EQ(messages({}), (Strings{"one", "two", "three", "four"}));
  EXPECT_EQ(messages({.group = "/aws/lambda/f"}), (Strings{"one", "two", "four"}));
  EXPECT_EQ(messages({.group = "/aws/lambda/f", .stream = "s1"}), (Strings{"one", "four"}));
  EXPECT_EQ(messages({.since = system_clock::from_time_t(2000)}), (Strings{"four"}));
  EXPECT_EQ(messages({.until = system_clock::from_time_t(2000)}), (Strings{"one", "two", "three"}));
  EXPECT_EQ(messages({.contains = "ou"}), (Strings{"four"}));
  EXPECT_EQ(messages({.contains = "'; DROP TABLE log; --"}), Strings{});
  EXPECT_EQ(messages({.limit = 2}), (Strings{"one", "two"}));
  EXPECT_EQ(messages({.limit = 2, .newest = true}), (Strings{"three", "four"}));
  EXPECT_EQ(read()->groups().value(), (Strings{"/aws/lambda/f", "/other"}));
  const auto page = read()->logs({.limit = 1});
  EXPECT_EQ(page->events[0].time, system_clock::from_time_t(1000));
  EXPECT_EQ(page->events[0].stream, "s1");
}

TEST_F(StoreTest, ACursorFollowsWithoutGapsOrRepeats) {
  const auto store = open();
  const auto reader = read();
  Cursor cursor = 0;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 5; ++i) store->log(event(std::to_string(round * 5 + i)));
    ASSERT_TRUE(store->flush(kPatience));
    for (int expected = round * 5; expected < round * 5 + 5;) {
      const auto page = reader->logs({.after = cursor, .limit = 2});
      ASSERT_TRUE(page);
      for (const LogEvent& found : page->events) {
        EXPECT_EQ(found.message, std::to_string(expected++));
      }
      cursor = page->cursor;
    }
    const auto empty = reader->logs({.after = cursor});
    EXPECT_TRUE(empty->events.empty());
    EXPECT_EQ(empty->cursor, cursor);
  }
}

TEST_F(StoreTest, TheyAreThereAfterAnotherStart) {
  {
    const auto store = open();
    store->log(event("kept"));
  }  // the end writes what waits
  EXPECT_EQ(messages({}), (Strings{"kept"}));
  const auto store = open();
  store->log(event("more"));
  ASSERT_TRUE(store->flush(kPatience));
  EXPECT_EQ(messages({}), (Strings{"kept", "more"}));
  EXPECT_EQ(count_set_aside(), 0);
}

TEST_F(StoreTest, WhatAKilledWriterHadWrittenIsRead) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto store = Store::open(path_, {});
    if (!store) ::_exit(1);
    (*store)->log(event("written"));
    if (!(*store)->flush(kPatience)) ::_exit(2);
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(messages({}), (Strings{"written"})) << "while nobody writes";
  const auto store = open();
  store->log(event("more"));
  ASSERT_TRUE(store->flush(kPatience));
  EXPECT_EQ(messages({}), (Strings{"written", "more"}));
  EXPECT_EQ(count_set_aside(), 0);
}

TEST_F(StoreTest, TheFileIsForItsOwnerAlone) {
  const auto store = open();
  store->log(event("secret"));
  ASSERT_TRUE(store->flush(kPatience));
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    struct stat info {};
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << entry.path();
  }
}

TEST_F(StoreTest, LongMessagesAreCutBetweenCharacters) {
  const auto store = open({.log_message_size_bytes_max = 10});
  store->log(event("123456789\xc3\xa4"));
  store->log(event("12345678\xc3\xa4"));
  ASSERT_TRUE(store->flush(kPatience));
  EXPECT_EQ(messages({}), (Strings{"123456789", "12345678\xc3\xa4"}));
}

TEST_F(StoreTest, ATraceIsListedByItsRootAndReadAsATree) {
  const auto store = open();
  store->segment(
      document("bbbbbbbbbbbbbbbb",
               R"("end_time":200,"name":"f","parent_id":"aaaaaaaaaaaaaaaa","fault":true)"));
  store->segment(document("aaaaaaaaaaaaaaaa", R"("in_progress":true,"name":"todos/Prod")"));
  store->segment(document(
      "aaaaaaaaaaaaaaaa",
      R"("end_time":101.5,"name":"todos/Prod","http":{"request":{"method":"GET","url":"http://h/x"},)"
      R"("response":{"status":502}})"));
  store->segment(document("cccccccccccccccc", R"("end_time":101,"name":"other")",
                          "1-6733a0cf-0123456789abcdef01234567"));
  ASSERT_TRUE(store->flush(kPatience));
  const auto traces = read()->traces(10);
  ASSERT_TRUE(traces);
  ASSERT_EQ(traces->size(), 2u);
  const TraceSummary& summary = (*traces)[0].trace_id == kTraceId ? (*traces)[0] : (*traces)[1];
  EXPECT_EQ(summary.root_name, "todos/Prod");
  EXPECT_EQ(summary.http_method, "GET");
  EXPECT_EQ(summary.http_url, "http://h/x");
  EXPECT_EQ(summary.http_status, 502);
  EXPECT_TRUE(summary.fault);
  EXPECT_FALSE(summary.error);
  EXPECT_EQ(summary.segment_count, 2);
  EXPECT_EQ(summary.duration, std::chrono::microseconds(99'500'000));
  const auto tree = read()->trace(kTraceId);
  ASSERT_TRUE(tree);
  ASSERT_EQ(tree->size(), 1u);
  EXPECT_FALSE((*tree)[0].in_progress) << "the later document stands for the earlier";
  ASSERT_EQ((*tree)[0].children.size(), 1u);
  EXPECT_EQ(read()->trace("1-00000000-000000000000000000000000").error().code,
            base::Code::kNotFound);
}

TEST_F(StoreTest, WhatIsNoSegmentIsCountedAndNothingElse) {
  const auto store = open();
  store->segment("nonsense");
  store->segment(std::string(100000, 'x'));
  store->log(event("after"));
  ASSERT_TRUE(store->flush(kPatience));
  EXPECT_EQ(store->counters().segments_refused, 2u);
  EXPECT_EQ(store->counters().logs_written, 1u);
  EXPECT_TRUE(read()->traces(10)->empty());
}

TEST_F(StoreTest, AFullQueueDropsAndCounts) {
  // A long window, so that nothing is taken out meanwhile.
  const auto store = open({.queue_records_max = 10,
                           .batch_window = std::chrono::duration_cast<milliseconds>(kPatience)});
  for (int i = 0; i < 25; ++i) store->log(event(std::to_string(i)));
  EXPECT_EQ(store->counters().dropped_queue_full, 15u);
  ASSERT_TRUE(store->flush(kPatience));
  EXPECT_EQ(messages({}).size(), 10u);
}

TEST_F(StoreTest, TheQueueIsBoundedInBytesToo) {
  const auto store = open({.queue_size_bytes_max = 1000,
                           .batch_window = std::chrono::duration_cast<milliseconds>(kPatience)});
  for (int i = 0; i < 10; ++i) store->log(event(std::string(300, 'x')));
  EXPECT_EQ(store->counters().dropped_queue_full, 7u);
}

TEST_F(StoreTest, BeyondItsBoundTheOldestGo) {
  constexpr std::uint64_t kBound = 1u << 20;
  const auto store = open({.file_size_bytes_max = kBound});
  for (int i = 0; i < 4000; ++i) {
    store->log(event(std::to_string(i) + std::string(1000, 'x')));
    char trace[36];
    std::snprintf(trace, sizeof trace, "1-6733a0ce-%024d", i);
    store->segment(document("aaaaaaaaaaaaaaaa", R"("end_time":101,"name":"n")", trace));
    if (i % 200 == 0) {
      ASSERT_TRUE(store->flush(kPatience));
    }
  }
  ASSERT_TRUE(store->flush(kPatience));
  EXPECT_EQ(store->counters().dropped_write_failed, 0u);
  EXPECT_GT(store->counters().removed_oldest, 0u);
  EXPECT_LE(std::filesystem::file_size(path_), kBound * 5 / 4 + 64 * 4096);
  const auto left = messages({.limit = 10000});
  ASSERT_FALSE(left.empty());
  EXPECT_LT(left.size(), 2000u);
  EXPECT_TRUE(left.back().starts_with("3999"));
  EXPECT_FALSE(read()->traces(1000)->empty());
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsSetAside) {
  std::ofstream(path_) << std::string(5000, 'x');
  const auto store = open();
  EXPECT_EQ(count_set_aside(), 1);
  store->log(event("new"));
  ASSERT_TRUE(store->flush(kPatience));
  EXPECT_EQ(messages({}), (Strings{"new"}));
}

TEST_F(StoreTest, AFileOfAnotherFormatIsSetAsideAndOnlyTheLastIsKept) {
  { const auto store = open(); }
  for (int i = 0; i < 2; ++i) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(60);  // user_version
    file.write("\0\0\0\x63", 4);
    file.close();
    EXPECT_EQ(Reader::open(path_).error().code, base::Code::kFailedPrecondition);
    const auto store = open();
    EXPECT_EQ(count_set_aside(), 1);
  }
}

TEST_F(StoreTest, DamageFoundWhileWritingIsSetAsideAndWritingGoesOn) {
  {
    const auto store = open();
    for (int i = 0; i < 500; ++i) store->log(event(std::string(1000, 'x')));
  }
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(std::filesystem::file_size(path_) - 4096, '\xff');
  }
  auto opened = Store::open(path_, {});
  ASSERT_TRUE(opened) << to_string(opened.error());
  for (int i = 0; i < 5; ++i) {
    (*opened)->log(event("x"));
    ASSERT_TRUE((*opened)->flush(kPatience));
  }
  EXPECT_EQ(count_set_aside(), 1);
  EXPECT_FALSE(messages({}).empty());
}

TEST_F(StoreTest, AFolderThatIsNotThereIsAnError) {
  EXPECT_FALSE(Store::open(folder_ / "absent" / "t.sqlite", {}));
  EXPECT_EQ(Reader::open(folder_ / "absent.sqlite").error().code, base::Code::kNotFound);
}

TEST_F(StoreTest, OnlyTheFileIsLeftWhoeverClosesLast) {
  const auto files = [this] {
    Strings names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_))
      names.push_back(entry.path().filename().string());
    return names;
  };
  const Strings one_file{path_.filename().string()};
  auto store = open();
  store->log(event("kept"));
  ASSERT_TRUE(store->flush(kPatience));
  auto reader = read();
  ASSERT_TRUE(reader->logs({}));
  store.reset();
  EXPECT_EQ(reader->logs({})->events.size(), 1u);
  reader.reset();
  EXPECT_EQ(files(), one_file);
  EXPECT_EQ(messages({}), Strings{"kept"});  // by a reader alone
  EXPECT_EQ(files(), one_file);
}

TEST_F(StoreTest, ManyThreadsLoseNothingBelowTheBounds) {
  const auto store = open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, t] {
      for (int i = 0; i < 500; ++i) store->log(event("m", std::to_string(t)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(store->flush(kPatience));
  EXPECT_EQ(store->counters().logs_written, 2000u);
  EXPECT_EQ(messages({.stream = "3"}).size(), 500u);
}

/// A mount namespace of our own, by root's right or that of a fresh user namespace.
bool leave_the_mounts_of_others() {
  if (::unshare(CLONE_NEWNS) != 0) {
    const std::string map = "0 " + std::to_string(::getuid()) + " 1";
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    std::ofstream("/proc/self/uid_map") << map;
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

/// In a child with a file system of one megabyte: fills it, then makes room. Exit code 0 is good.
int live_on_a_full_disk(const std::filesystem::path& folder) {
  if (!leave_the_mounts_of_others()) return 77;
  if (::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=1m") != 0) return 77;
  const auto path = folder / "t.sqlite";
  auto store = Store::open(path, {});
  if (!store) return 1;
  std::ofstream ballast(folder / "ballast");
  ballast << std::string(700000, 'x') << std::flush;
  for (int i = 0; i < 50; ++i) {
    (*store)->log(event(std::string(20000, 'x')));
    if (!(*store)->flush(kPatience)) return 2;
  }
  if ((*store)->counters().dropped_write_failed == 0) return 3;
  ballast.close();
  std::filesystem::remove(folder / "ballast");
  (*store)->log(event("room again"));
  if (!(*store)->flush(kPatience)) return 4;
  const auto reader = Reader::open(path);
  if (!reader) return 5;
  const auto found = (*reader)->logs({.contains = "room again"});
  return found && found->events.size() == 1 ? 0 : 6;
}

TEST_F(StoreTest, AFullDiskLosesTelemetryAndNothingElse) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(live_on_a_full_disk(folder_));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no right to mount a small file system";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace zorya::telemetry
