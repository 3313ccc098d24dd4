#include "net/tls.h"

#include "base/random.h"
#include "base/unique_fd.h"
#include "net/socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <csignal>

namespace zorya::net {
namespace {

constexpr const char* kName = "known.dsql.us-east-1.on.aws";

/// A server stream and an OpenSSL client on two ends of a socket pair, driven in turns.
class TlsTest : public testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);
    folder_ =
        std::filesystem::temp_directory_path() / ("zorya-tls-" + base::random_alphanumeric(8));
    authority_ = std::move(*Authority::open({.folder = folder_}));
    server_ = std::move(*TlsServer::create(
        {.authority = authority_.get(), .protocol = "postgresql", .name_exists = [](auto name) {
           return name == kName;
         }}));
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    ours_.reset(fds[0]);
    theirs_.reset(fds[1]);
    stream_ = std::move(*server_->accept(ours_.get()));
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_load_verify_locations(context_, authority_->certificate_file().c_str(), nullptr);
  }
  void TearDown() override {
    SSL_free(client_);
    SSL_CTX_free(context_);
    std::filesystem::remove_all(folder_);
  }

  void make_client(const char* server_name, std::string_view protocols, bool verify) {
    client_ = SSL_new(context_);
    SSL_set_fd(client_, theirs_.get());
    if (server_name != nullptr) {
      SSL_set_tlsext_host_name(client_, server_name);
      SSL_set1_host(client_, server_name);
    }
    if (verify) SSL_set_verify(client_, SSL_VERIFY_PEER, nullptr);
    if (!protocols.empty()) {
      SSL_set_alpn_protos(client_, reinterpret_cast<const unsigned char*>(protocols.data()),
                          static_cast<unsigned int>(protocols.size()));
    }
  }

  /// Both sides in turns until ours is through or has failed.
  TlsStatus shake_hands() {
    for (int turn = 0; turn < 20; ++turn) {
      SSL_connect(client_);
      const TlsResult result = stream_->handshake();
      if (result.status != TlsStatus::kWantRead && result.status != TlsStatus::kWantWrite) {
        return result.status;
      }
    }
    return TlsStatus::kWantRead;
  }

  std::filesystem::path folder_;
  std::unique_ptr<Authority> authority_;
  std::unique_ptr<TlsServer> server_;
  base::UniqueFd ours_;
  base::UniqueFd theirs_;
  std::unique_ptr<TlsStream> stream_;
  SSL_CTX* context_ = nullptr;
  SSL* client_ = nullptr;
};

TEST_F(TlsTest, AClientThatTrustsUsGetsTheCertificateOfTheNameItAsksFor) {
  make_client("KNOWN.dsql.us-east-1.on.aws", "\x0apostgresql", true);
  ASSERT_EQ(shake_hands(), TlsStatus::kOk) << stream_->failure().text;
  EXPECT_EQ(stream_->server_name(), kName);
  EXPECT_TRUE(stream_->protocol_agreed());
  EXPECT_EQ(SSL_write(client_, "hello", 5), 5);
  char buffer[16];
  const TlsResult read = stream_->read(buffer);
  EXPECT_EQ(read.status, TlsStatus::kOk);
  EXPECT_EQ(std::string_view(buffer, read.size_bytes), "hello");
  EXPECT_EQ(stream_->read(buffer).status, TlsStatus::kWantRead);
  EXPECT_EQ(stream_->write(std::string_view("there")).status, TlsStatus::kOk);
  EXPECT_EQ(SSL_read(client_, buffer, sizeof buffer), 5);
  SSL_shutdown(client_);
  EXPECT_EQ(stream_->read(buffer).status, TlsStatus::kClosed);
}

TEST_F(TlsTest, AnUnknownNameGetsTheCertificateOfLocalhost) {
  make_client("unknown.dsql.us-east-1.on.aws", {}, true);
  EXPECT_EQ(shake_hands(), TlsStatus::kFailed);
}

TEST_F(TlsTest, WithoutServerNameAndProtocolBothAreEmpty) {
  make_client(nullptr, {}, false);
  ASSERT_EQ(shake_hands(), TlsStatus::kOk);
  EXPECT_EQ(stream_->server_name(), "");
  EXPECT_FALSE(stream_->protocol_agreed());
}

TEST_F(TlsTest, AForeignProtocolIsRefused) {
  make_client(kName, "\x02h2", false);
  EXPECT_EQ(shake_hands(), TlsStatus::kFailed);
}

TEST_F(TlsTest, AClientThatDoesNotTrustUsIsTold) {
  SSL_CTX_free(context_);
  context_ = SSL_CTX_new(TLS_client_method());
  make_client(kName, {}, true);
  EXPECT_EQ(shake_hands(), TlsStatus::kFailed);
  EXPECT_TRUE(stream_->failure().peer_distrusts_us) << stream_->failure().text;
}

TEST_F(TlsTest, OldVersionsAreRefused) {
  SSL_CTX_set_security_level(context_, 0);
  SSL_CTX_set_min_proto_version(context_, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(context_, TLS1_1_VERSION);
  make_client(kName, {}, false);
  EXPECT_EQ(shake_hands(), TlsStatus::kFailed);
  EXPECT_FALSE(stream_->failure().peer_distrusts_us);
}

TEST_F(TlsTest, GarbageFailsAndAnAbruptEndIsAnEnd) {
  ASSERT_EQ(::send(theirs_.get(), "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
  EXPECT_EQ(stream_->handshake().status, TlsStatus::kFailed);
  stream_->close();
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  ours_.reset(fds[0]);
  theirs_.reset(fds[1]);
  stream_ = std::move(*server_->accept(ours_.get()));
  theirs_.reset();
  const TlsStatus status = stream_->handshake().status;
  EXPECT_TRUE(status == TlsStatus::kClosed || status == TlsStatus::kFailed);
}

TEST(Socket, APortThatIsTakenIsNamed) {
  const auto first = listen_tcp("127.0.0.1", 0, 1);
  ASSERT_TRUE(first) << first.error().message;
  const auto port = local_port(first->get());
  ASSERT_TRUE(port);
  const auto second = listen_tcp("127.0.0.1", *port, 1);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, base::Code::kAlreadyExists);
  EXPECT_FALSE(listen_tcp("localhost", 0, 1));
  const auto nobody = connect_unix("/nonexistent/.s.PGSQL.5432");
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, base::Code::kUnavailable);
  EXPECT_FALSE(connect_unix("/" + std::string(200, 'x')));
}

}  // namespace
}  // namespace zorya::net
