#include "cluster/leftover.h"

#include "base/files.h"
#include "base/random.h"

#include <gtest/gtest.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;

class LeftoverTest : public ::testing::Test {
 protected:
  LeftoverTest() { fs::create_directory(folder_); }
  ~LeftoverTest() override { fs::remove_all(folder_); }

  /// A pid file as PostgreSQL writes it, by a server of number `pid`.
  void write_pid_file(const std::string& pid, int shared_memory) const {
    const std::string text = pid + "\n/data\n1700000000\n5432\n/run\n\n  5432001  " +
                             std::to_string(shared_memory) + "\nready   \n";
    ASSERT_TRUE(base::write_file_atomically(folder_ / "postmaster.pid", text, 0600));
  }

  const fs::path folder_ = "/tmp/zorya-leftover-" + base::random_alphanumeric(8);
};

bool exists(int shared_memory) {
  shmid_ds info{};
  return ::shmctl(shared_memory, IPC_STAT, &info) == 0;
}

TEST_F(LeftoverTest, AFolderWithoutAServerIsNoError) {
  EXPECT_TRUE(end_leftover_server(folder_));
  EXPECT_TRUE(end_leftover_server(folder_ / "absent"));
}

TEST_F(LeftoverTest, PidFileAndSharedMemoryGo) {
  // We made it, so we are the server of the pid file; initdb's servers write their number negative.
  for (const std::string& sign : {std::string(), std::string("-")}) {
    const int segment = ::shmget(IPC_PRIVATE, 56, IPC_CREAT | 0600);
    ASSERT_GE(segment, 0);
    write_pid_file(sign + std::to_string(::getpid()), segment);
    EXPECT_TRUE(end_leftover_server(folder_));
    EXPECT_FALSE(exists(segment));
    EXPECT_FALSE(fs::exists(folder_ / "postmaster.pid"));
  }
}

TEST_F(LeftoverTest, SharedMemoryOfOthersStays) {
  const int segment = ::shmget(IPC_PRIVATE, 56, IPC_CREAT | 0600);
  ASSERT_GE(segment, 0);
  write_pid_file(std::to_string(::getpid() + 1), segment);
  EXPECT_TRUE(end_leftover_server(folder_));
  EXPECT_TRUE(exists(segment));

  write_pid_file(std::to_string(::getpid()), segment);
  void* attached = ::shmat(segment, nullptr, 0);
  EXPECT_TRUE(end_leftover_server(folder_));
  EXPECT_TRUE(exists(segment));
  ::shmdt(attached);
  ::shmctl(segment, IPC_RMID, nullptr);
}

TEST_F(LeftoverTest, APidFileOfNonsenseIsRemovedAndHarmsNobody) {
  for (const char* text :
       {"", "\n", "1", "x\ny\nz\n\n\n\n\n\n", "1\n2\n3\n4\n5\n6\n7", "\n\n\n\n\n\n 1 x"}) {
    ASSERT_TRUE(base::write_file_atomically(folder_ / "postmaster.pid", text, 0600));
    EXPECT_TRUE(end_leftover_server(folder_));
    EXPECT_FALSE(fs::exists(folder_ / "postmaster.pid"));
  }
}

}  // namespace
}  // namespace zorya::cluster
