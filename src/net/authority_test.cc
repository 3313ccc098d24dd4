#include "net/authority.h"

#include "base/files.h"
#include "base/random.h"
#include "net/certificate.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

namespace zorya::net {
namespace {

using std::chrono::hours;

constexpr const char* kName = "abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws";

class AuthorityTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("zorya-ca-" + base::random_alphanumeric(8));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Authority> open() {
    auto made = Authority::open({.folder = folder_, .region = "us-east-1", .clock = &clock_});
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }

  /// As a client would verify it, at the clock's time.
  bool verifies(const ServerIdentity& identity, const char* host) {
    X509_STORE* const store = X509_STORE_new();
    X509_STORE_CTX* const context = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, identity.authority.get());
    X509_STORE_CTX_init(context, store, identity.certificate.get(), nullptr);
    X509_VERIFY_PARAM* const param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set1_host(param, host, 0);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_time(param, std::chrono::system_clock::to_time_t(clock_.now()));
    const bool ok = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return ok;
  }

  std::filesystem::path folder_;
  base::ManualClock clock_{std::chrono::system_clock::now()};
};

TEST_F(AuthorityTest, IsMadeOnceWithAKeyThatOnlyWeRead) {
  const std::string pem = open()->certificate_pem();
  EXPECT_EQ(open()->certificate_pem(), pem);
  EXPECT_EQ(*base::read_file(folder_ / "ca.pem"), pem);
  struct stat info {};
  ASSERT_EQ(::stat((folder_ / "ca.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(AuthorityTest, VouchesForTheNameAndForLoopback) {
  const auto authority = open();
  const auto identity = authority->server_identity(kName);
  ASSERT_TRUE(identity) << identity.error().message;
  EXPECT_TRUE(verifies(**identity, kName));
  EXPECT_TRUE(verifies(**identity, "localhost"));
  EXPECT_FALSE(verifies(**identity, "other.dsql.us-east-1.on.aws"));
  EXPECT_EQ(X509_check_ip_asc((*identity)->certificate.get(), "127.0.0.1", 0), 1);
  EXPECT_EQ(authority->server_identity(kName)->get(), identity->get());
}

TEST_F(AuthorityTest, CannotVouchForTheRestOfTheWorld) {
  const auto authority = open();
  const auto identity = authority->server_identity("bank.example.com");
  ASSERT_TRUE(identity);
  EXPECT_FALSE(verifies(**identity, "bank.example.com"));
}

TEST_F(AuthorityTest, RenewsAServerCertificateBeforeItEnds) {
  const auto authority = open();
  const auto first = authority->server_identity(kName);
  clock_.advance(hours(24 * 19));
  EXPECT_EQ(authority->server_identity(kName)->get(), first->get());
  clock_.advance(hours(24 * 2));
  const auto second = authority->server_identity(kName);
  EXPECT_NE(second->get(), first->get());
  clock_.advance(hours(24 * 15));
  EXPECT_FALSE(verifies(**first, kName));
  EXPECT_TRUE(verifies(**second, kName));
}

TEST_F(AuthorityTest, IsMadeAgainWhenItsEndIsNear) {
  const std::string pem = open()->certificate_pem();
  clock_.advance(hours(24 * 3600));
  EXPECT_NE(open()->certificate_pem(), pem);
}

TEST_F(AuthorityTest, AKeyWithoutItsCertificateIsAStartThatWasCutShort) {
  open();
  std::filesystem::remove(folder_ / "ca.pem");
  EXPECT_TRUE(open()->server_identity(kName));
}

TEST_F(AuthorityTest, FilesThatDoNotFitAreErrors) {
  open();
  const std::string pem = *base::read_file(folder_ / "ca.pem");
  ASSERT_EQ(::chmod((folder_ / "ca.key").c_str(), 0640), 0);
  EXPECT_FALSE(Authority::open({.folder = folder_}));
  ASSERT_TRUE(base::write_file_atomically(folder_ / "ca.key", "nonsense", 0600));
  EXPECT_FALSE(Authority::open({.folder = folder_}));
  std::filesystem::remove(folder_ / "ca.pem");
  open();
  ASSERT_TRUE(base::write_file_atomically(folder_ / "ca.pem", pem, 0644));
  const auto mixed = Authority::open({.folder = folder_});
  ASSERT_FALSE(mixed);
  EXPECT_NE(mixed.error().message.find("is not the key of"), std::string::npos);
}

}  // namespace
}  // namespace zorya::net
