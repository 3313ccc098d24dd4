#include "base/files.h"

#include "base/random.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

namespace zorya::base {
namespace {

class Files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("zorya-files-" + random_alphanumeric(8));
    ASSERT_TRUE(make_folder(folder_, 0700));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(Files, AnAtomicWriteReplacesTheWholeFileAndLeavesNothingElse) {
  const auto path = folder_ / "secret";
  ASSERT_TRUE(write_file_atomically(path, "first, and longer", 0600));
  ASSERT_TRUE(write_file_atomically(path, "second", 0600));
  EXPECT_EQ(*read_file(path), "second");
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(Files, AnAtomicWriteThatCannotBeMadeLeavesTheOldFile) {
  std::filesystem::create_directory(folder_ / "taken");
  std::ofstream(folder_ / "taken" / "child") << "x";
  EXPECT_FALSE(write_file_atomically(folder_ / "taken", "x", 0600));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(Files, AFileOverTheLimitIsRefused) {
  ASSERT_TRUE(write_file_atomically(folder_ / "big", std::string(100, 'x'), 0600));
  EXPECT_EQ(read_file(folder_ / "big", 99).error().code, Code::kResourceExhausted);
}

TEST_F(Files, ASecondLockSaysWhoHoldsTheFirst) {
  auto first = lock_file(folder_ / "lock");
  ASSERT_TRUE(first);
  auto second = lock_file(folder_ / "lock");
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("process " + std::to_string(::getpid())),
            std::string::npos);
  first->reset();
  EXPECT_TRUE(lock_file(folder_ / "lock"));
}

TEST(Random, UuidsAreOfVersionFour) {
  const std::string uuid = random_uuid();
  EXPECT_EQ(uuid.size(), 36u);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_NE(uuid, random_uuid());
}

}  // namespace
}  // namespace zorya::base
