#include "cluster/folders.h"

#include "base/files.h"
#include "base/random.h"
#include "cluster/extension.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;

class FoldersTest : public ::testing::Test {
 protected:
  FoldersTest() { fs::create_directory(folder_); }
  ~FoldersTest() override { fs::remove_all(folder_); }

  const fs::path folder_ = "/tmp/zorya-folders-" + base::random_alphanumeric(8);
};

mode_t mode_of(const fs::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

TEST_F(FoldersTest, ASocketLiesBesideItsClusterUnlessItsAddressWouldBeTooLong) {
  EXPECT_EQ(socket_folder_of("/data/clusters/a"), "/data/clusters/a/run");
  const fs::path deep = "/" + std::string(100, 'd');
  const fs::path folder = socket_folder_of(deep);
  EXPECT_LT((folder / ".s.PGSQL.5432").native().size(), 108u);
  EXPECT_EQ(folder, socket_folder_of(deep));
  EXPECT_NE(folder, socket_folder_of(deep / "e"));
}

TEST_F(FoldersTest, ASocketFolderIsOursAloneAndNoLink) {
  const fs::path made = folder_ / "run";
  ASSERT_TRUE(prepare_socket_folder(made, Account{}));
  EXPECT_EQ(mode_of(made), 0700u);
  ASSERT_TRUE(prepare_socket_folder(made, Account{}));  // again is fine
  fs::create_directory_symlink(made, folder_ / "link");
  EXPECT_FALSE(prepare_socket_folder(folder_ / "link", Account{}));
}

TEST_F(FoldersTest, SomebodyElsesSocketFolderIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  fs::create_directory(folder_ / "run");
  ASSERT_EQ(::chown((folder_ / "run").c_str(), 12345, 12345), 0);
  auto made = prepare_socket_folder(folder_ / "run", Account{});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, base::Code::kPermissionDenied);
}

TEST_F(FoldersTest, OthersMayPassThroughTheDataFolderAndNotLookIn) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  fs::permissions(folder_, fs::perms(0755));
  fs::create_directory(folder_ / "data");
  fs::permissions(folder_ / "data", fs::perms(0700));
  ASSERT_TRUE(prepare_clusters_folder(folder_ / "data", Account{12345, 12345}));
  EXPECT_EQ(mode_of(folder_ / "data"), 0711u);
  EXPECT_EQ(mode_of(folder_ / "data" / "clusters"), 0711u);
  fs::permissions(folder_, fs::perms(0700));
  auto closed = prepare_clusters_folder(folder_ / "data", Account{12345, 12345});
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().code, base::Code::kPermissionDenied);
  EXPECT_NE(closed.error().message.find(folder_.string()), std::string::npos);
}

TEST_F(FoldersTest, AFailedCopyLeavesNothing) {
  fs::create_directory(folder_ / "from");
  EXPECT_FALSE(copy_for_server(folder_ / "absent", folder_ / "to", Account{}));
  EXPECT_FALSE(fs::exists(folder_ / "to"));
}

/// A build's library folder with that library and one SQL file.
fs::path make_library(const fs::path& folder, const std::string& library, const std::string& sql) {
  fs::create_directories(folder / "sql");
  EXPECT_TRUE(base::write_file_atomically(folder / "zorya_query_processor.so", library, 0755));
  EXPECT_TRUE(base::write_file_atomically(folder / "query_processor.conf", "a = 1\n", 0644));
  EXPECT_TRUE(base::write_file_atomically(folder / "sql" / "20_b.sql", sql, 0644));
  EXPECT_TRUE(base::write_file_atomically(folder / "sql" / "10_a.sql", "SELECT 1;", 0644));
  return folder;
}

TEST_F(FoldersTest, AnExtensionIsCopiedByContentAndOldCopiesGo) {
  const fs::path library = make_library(folder_ / "lib", "one", "SELECT 2;");
  auto first = install_extension(library, folder_);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->settings, (Settings{{"a", "1"}}));
  ASSERT_EQ(first->sql_files.size(), 2u);
  EXPECT_EQ(first->sql_files[0].filename(), "10_a.sql");
  EXPECT_EQ(base::read_file(first->folder / "zorya_query_processor.so").value(), "one");
  EXPECT_EQ(install_extension(library, folder_)->key, first->key);

  make_library(folder_ / "lib", "two", "SELECT 2;");
  auto second = install_extension(library, folder_);
  ASSERT_TRUE(second);
  EXPECT_NE(second->key, first->key);
  EXPECT_NE(second->folder, first->folder);
  EXPECT_FALSE(fs::exists(first->folder));

  make_library(folder_ / "lib", "two", "SELECT 3;");
  auto third = install_extension(library, folder_);
  ASSERT_TRUE(third);
  EXPECT_EQ(third->folder, second->folder);  // the same library
  EXPECT_NE(third->key, second->key);        // another template
}

TEST_F(FoldersTest, AnAbsentExtensionIsNamed) {
  auto extension = install_extension(folder_ / "nowhere", folder_);
  ASSERT_FALSE(extension);
  EXPECT_EQ(extension.error().code, base::Code::kNotFound);
  EXPECT_NE(extension.error().message.find("zorya_query_processor.so"), std::string::npos);
}

}  // namespace
}  // namespace zorya::cluster
