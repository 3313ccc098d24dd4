#include "iam/key_store.h"

#include "base/files.h"
#include "base/random.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace zorya::iam {
namespace {

class KeyStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("zorya-keys-" + base::random_alphanumeric(8));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static mode_t mode_of(const std::filesystem::path& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
  }

  std::filesystem::path folder_;
};

TEST_F(KeyStoreTest, TheFirstStartMakesTheAdminsKeyAndLaterOnesKeepIt) {
  const auto first = KeyStore::open(folder_, "000000000000");
  ASSERT_TRUE(first) << first.error().message;
  const AccessKey admin = (*first)->admin();
  EXPECT_EQ(admin.access_key_id.size(), 20u);
  EXPECT_EQ(admin.access_key_id.substr(0, 4), "AKIA");
  EXPECT_EQ(admin.secret_access_key.size(), 40u);
  EXPECT_EQ(admin.identity.arn, "arn:aws:iam::000000000000:user/admin");
  EXPECT_TRUE(is_allowed(admin.identity, "dsql:DbConnectAdmin", "arn:aws:dsql:r:a:cluster/x"));
  EXPECT_EQ(mode_of(folder_), 0700u);
  EXPECT_EQ(mode_of(folder_ / "admin.json"), 0600u);
  const auto second = KeyStore::open(folder_, "000000000000");
  ASSERT_TRUE(second);
  EXPECT_EQ((*second)->admin().secret_access_key, admin.secret_access_key);
  EXPECT_TRUE((*second)->find(admin.access_key_id));
  EXPECT_FALSE((*second)->find("AKIAUNKNOWN"));
}

TEST_F(KeyStoreTest, AFileThatOthersCanReadIsRefused) {
  ASSERT_TRUE(KeyStore::open(folder_, "0"));
  ASSERT_EQ(::chmod((folder_ / "admin.json").c_str(), 0644), 0);
  const auto again = KeyStore::open(folder_, "0");
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().hint.find("chmod 600"), std::string::npos);
}

TEST_F(KeyStoreTest, ABrokenFileIsAnErrorThatNamesIt) {
  ASSERT_TRUE(base::make_folder(folder_, 0700));
  for (const auto* bad :
       {"", "{", "[]", R"({"access_key_id":"A"})",
        R"({"access_key_id":"A","secret_access_key":"S","arn":"a","policy":1})"}) {
    ASSERT_TRUE(base::write_file_atomically(folder_ / "admin.json", bad, 0600));
    const auto store = KeyStore::open(folder_, "0");
    ASSERT_FALSE(store) << bad;
    EXPECT_NE(store.error().message.find("admin.json"), std::string::npos);
  }
}

TEST_F(KeyStoreTest, MoreKeysMayLieBesideTheAdmins) {
  ASSERT_TRUE(base::make_folder(folder_, 0700));
  ASSERT_TRUE(base::write_file_atomically(
      folder_ / "reader.json",
      R"({"access_key_id":"AKIAREADER","secret_access_key":"S","arn":"arn:aws:iam::0:user/reader",
          "policy":{"Statement":{"Effect":"Allow","Action":"dsql:DbConnect","Resource":"*"}}})",
      0600));
  const auto store = KeyStore::open(folder_, "0");
  ASSERT_TRUE(store) << store.error().message;
  const auto key = (*store)->find("AKIAREADER");
  ASSERT_TRUE(key);
  EXPECT_FALSE(is_allowed(key->identity, "dsql:DbConnectAdmin", "arn:aws:dsql:r:a:cluster/x"));
}

TEST_F(KeyStoreTest, SessionKeysAreInMemoryOnly) {
  const auto store = KeyStore::open(folder_, "0");
  ASSERT_TRUE(store);
  const AccessKey key =
      (*store)->mint_session({.arn = "arn:x", .policy = {}}, std::chrono::seconds(3600));
  EXPECT_EQ(key.access_key_id.substr(0, 4), "ASIA");
  EXPECT_GE(key.session_token.size(), 100u);
  ASSERT_TRUE(key.expires);
  const auto found = (*store)->find(key.access_key_id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->session_token, key.session_token);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
  const auto reopened = KeyStore::open(folder_, "0");
  ASSERT_TRUE(reopened);
  EXPECT_FALSE((*reopened)->find(key.access_key_id));
}

TEST_F(KeyStoreTest, SessionKeysAreForgottenAnHourAfterTheirEnd) {
  base::ManualClock clock{std::chrono::system_clock::now()};
  const auto store = KeyStore::open(folder_, "0", clock);
  ASSERT_TRUE(store);
  const auto mint = [&store] { return (*store)->mint_session({}, std::chrono::seconds(900)); };
  const AccessKey first = mint();
  EXPECT_EQ(first.expires, clock.now() + std::chrono::seconds(900));
  clock.advance(std::chrono::seconds(900 + 3600));
  mint();
  EXPECT_TRUE((*store)->find(first.access_key_id));
  clock.advance(std::chrono::seconds(1));
  mint();
  EXPECT_FALSE((*store)->find(first.access_key_id));
}

}  // namespace
}  // namespace zorya::iam
