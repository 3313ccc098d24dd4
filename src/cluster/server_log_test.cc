#include "cluster/server_log.h"

#include "base/files.h"
#include "base/random.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;

class ServerLogTest : public ::testing::Test {
 protected:
  ServerLogTest() { fs::create_directory(folder_); }
  ~ServerLogTest() override { fs::remove_all(folder_); }

  const fs::path folder_ = "/tmp/zorya-server-log-" + base::random_alphanumeric(8);
  const fs::path file_ = folder_ / "server.log";
};

TEST_F(ServerLogTest, KeepsAtMostTwoFilesOfItsSize) {
  ServerLog log(file_, 1000);
  const std::string line(99, 'x');
  for (int i = 0; i < 100; ++i) log.append(line + "\n");
  EXPECT_LE(fs::file_size(file_), 1100u);
  EXPECT_LE(fs::file_size(file_.string() + ".1"), 1100u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2);
}

TEST_F(ServerLogTest, AppendsToWhatIsThere) {
  { ServerLog(file_).append("one\n"); }
  { ServerLog(file_).append("two\n"); }
  EXPECT_EQ(base::read_file(file_).value(), "one\ntwo\n");
}

TEST_F(ServerLogTest, IsClosedToOthersAndFollowsNoLink) {
  { ServerLog(file_).append("one\n"); }
  EXPECT_EQ(fs::status(file_).permissions() & fs::perms(0777), fs::perms(0600));
  fs::create_symlink(file_, folder_ / "link");
  ServerLog(folder_ / "link").append("two\n");
  EXPECT_EQ(base::read_file(file_).value(), "one\n");
}

TEST_F(ServerLogTest, LastWordsAreTheLastFatalLineThatIsNoAnswerToAClient) {
  ServerLog log(file_);
  log.append("2026-01-01 [1] LOG:  starting\n2026-01-01 [1] FATAL:  no space left\n");
  log.append(
      "2026-01-01 [2] FATAL:  the database system is starting up\n2026-01-01 [1] LOG:  bye\n");
  EXPECT_EQ(log.last_words(), "no space left");
  log.forget_lines();
  EXPECT_EQ(log.last_words(), "");
  log.append("postgres: could not find it\nExpected it here\n2026 [1] LOG:  x\n");
  EXPECT_EQ(log.last_words(), "postgres: could not find it; Expected it here");
}

TEST_F(ServerLogTest, KnowsARecoveryAfterACrash) {
  ServerLog log(file_);
  log.append("[1] LOG:  database system is ready to accept connections\n");
  EXPECT_FALSE(log.tells_of_recovery());
  log.append("[1] LOG:  all server processes terminated; reinitializing\n[2] LOG:  redo starts\n");
  EXPECT_TRUE(log.tells_of_recovery());
  log.append("[1] LOG:  database system is ready to accept connections\n");
  EXPECT_FALSE(log.tells_of_recovery());
}

TEST_F(ServerLogTest, TakesWhatAPipeHoldsAndKnowsItsEnd) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_NONBLOCK), 0);
  ServerLog log(file_);
  ASSERT_EQ(::write(ends[1], "FATAL: x\n", 9), 9);
  EXPECT_TRUE(log.take_from(ends[0]));
  EXPECT_EQ(log.last_words(), "x");
  ::close(ends[1]);
  EXPECT_FALSE(log.take_from(ends[0]));
  ::close(ends[0]);
}

TEST_F(ServerLogTest, AFileThatCannotBeWrittenLosesLinesAndNothingElse) {
  ServerLog log(folder_ / "absent" / "server.log");
  log.append("2026 [1] FATAL:  still known\n");
  EXPECT_EQ(log.last_words(), "still known");
}

}  // namespace
}  // namespace zorya::cluster
