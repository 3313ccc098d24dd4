#include "shadow_disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

namespace zorya::file_layer {
namespace {

namespace fs = std::filesystem;

/// A folder with its shadow; `a` is there from the beginning.
class ShadowDiskTest : public testing::Test {
 protected:
  ShadowDiskTest() {
    std::string name = (fs::temp_directory_path() / "zorya-shadow-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) place_ = fs::canonical(name).string();
    fs::create_directories(place_ + "/live/inner");
    disk_ = std::make_unique<ShadowDisk>(place_ + "/live", place_ + "/shadow");
    write("a", "first");
    EXPECT_EQ(disk_->begin(), 0);
  }
  ~ShadowDiskTest() override { fs::remove_all(place_); }

  [[nodiscard]] std::string path(const std::string& name) const { return place_ + "/live/" + name; }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::trunc) << text;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(path(name));
    if (!file) return "(absent)";
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  void sync(const std::string& name, int flags = O_RDONLY) const {
    const int fd = ::open(path(name).c_str(), flags);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(disk_->sync_descriptor(fd), 0);
    ::close(fd);
  }
  ShadowDisk::Cut cut() {
    ShadowDisk::Cut done;
    EXPECT_EQ(disk_->cut(1, ShadowDisk::Unsynced::kNone, &done), 0);
    return done;
  }

  std::string place_;
  std::unique_ptr<ShadowDisk> disk_;
};

TEST_F(ShadowDiskTest, WhatWasNotSyncedIsLost) {
  write("a", "other");
  write("b", "new");
  const ShadowDisk::Cut done = cut();
  EXPECT_EQ(read("a"), "first");
  EXPECT_EQ(read("b"), "(absent)");
  EXPECT_EQ(done.sectors_lost, 1);
  EXPECT_EQ(done.names_lost, 1);
}

TEST_F(ShadowDiskTest, WhatWasSyncedIsThereWithItsName) {
  write("a", "other");
  sync("a");
  fs::create_directory(path("inner/more"));
  write("inner/more/b", "new");
  sync("inner/more/b", O_WRONLY);
  write("inner/more/b", "newer");
  cut();
  EXPECT_EQ(read("a"), "other");
  EXPECT_EQ(read("inner/more/b"), "new");
}

TEST_F(ShadowDiskTest, ATruncationNeedsASyncToo) {
  ASSERT_EQ(::truncate(path("a").c_str(), 2), 0);
  cut();
  EXPECT_EQ(read("a"), "first");
  ASSERT_EQ(::truncate(path("a").c_str(), 2), 0);
  sync("a");
  cut();
  EXPECT_EQ(read("a"), "fi");
}

TEST_F(ShadowDiskTest, ARenameNeedsASyncOfItsFolder) {
  write("b", "second");
  sync("b");
  fs::rename(path("b"), path("a"));
  sync("a");  // the file alone is not enough
  cut();
  EXPECT_EQ(read("a"), "first");
  EXPECT_EQ(read("b"), "second");
  fs::rename(path("b"), path("a"));
  sync("");
  cut();
  EXPECT_EQ(read("a"), "second");
  EXPECT_EQ(read("b"), "(absent)");
}

TEST_F(ShadowDiskTest, ARemovalNeedsASyncOfItsFolder) {
  fs::remove(path("a"));
  cut();
  EXPECT_EQ(read("a"), "first");
  fs::remove(path("a"));
  sync("");
  cut();
  EXPECT_EQ(read("a"), "(absent)");
}

TEST_F(ShadowDiskTest, ANameWithoutASyncedFileIsEmpty) {
  write("b.new", "text");
  fs::rename(path("b.new"), path("b"));
  sync("");
  cut();
  EXPECT_EQ(read("b"), "");
}

TEST_F(ShadowDiskTest, SomeOfTheUnsyncedSectorsMayBeThere) {
  std::string synced(64 * 512, 'o');
  write("a", synced);
  sync("a");
  bool mixed = false;
  for (std::uint64_t seed = 0; seed < 50 && !mixed; ++seed) {
    write("a", std::string(64 * 512, 'n'));
    ShadowDisk::Cut done;
    ASSERT_EQ(disk_->cut(seed, ShadowDisk::Unsynced::kSome, &done), 0);
    const std::string after = read("a");
    ASSERT_EQ(after.size(), synced.size());
    for (std::size_t at = 0; at < after.size(); at += 512) {
      ASSERT_EQ(after.substr(at, 512), std::string(512, after[at]));  // never within a sector
    }
    mixed = done.sectors_kept > 0 && done.sectors_lost > 0;
    write("a", synced);
    sync("a");
  }
  EXPECT_TRUE(mixed);
}

TEST_F(ShadowDiskTest, ASyncOfAllIsOfAll) {
  write("inner/b", "new");
  fs::remove(path("a"));
  EXPECT_EQ(disk_->sync_all(), 0);
  cut();
  EXPECT_EQ(read("inner/b"), "new");
  EXPECT_EQ(read("a"), "(absent)");
}

TEST_F(ShadowDiskTest, WhatLiesElsewhereIsNothingToIt) {
  const int fd = ::open("/tmp", O_RDONLY | O_DIRECTORY);
  EXPECT_EQ(disk_->sync_descriptor(fd), 0);
  std::string where;
  EXPECT_FALSE(disk_->is_ours(fd, &where));
  ::close(fd);
}

}  // namespace
}  // namespace zorya::file_layer
