#include "net/tls.h"

#include "base/log.h"
#include "net/certificate.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <climits>

namespace zorya::net {
namespace {

using Context = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Freer<SSL_free>>;

constexpr const char* kCiphers12 = "ECDHE+AESGCM:ECDHE+CHACHA20";

std::string name_of(const SSL* ssl) {
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  std::string out = name == nullptr ? "" : name;
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_distrust(int reason) {
  return reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA || reason == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE ||
         reason == SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN ||
         reason == SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED ||
         reason == SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE;
}

class Stream final : public TlsStream {
 public:
  explicit Stream(Ssl ssl) : ssl_(std::move(ssl)) {}

  TlsResult handshake() override {
    ERR_clear_error();
    return result_of(SSL_accept(ssl_.get()), 0);
  }

  TlsResult read(std::span<char> out) override {
    ERR_clear_error();
    std::size_t size_bytes = 0;
    const int ok = SSL_read_ex(ssl_.get(), out.data(), out.size(), &size_bytes);
    return result_of(ok, size_bytes);
  }

  TlsResult write(std::span<const char> data) override {
    ERR_clear_error();
    std::size_t size_bytes = 0;
    const int ok = SSL_write_ex(ssl_.get(), data.data(), data.size(), &size_bytes);
    return result_of(ok, size_bytes);
  }

  bool has_pending() const override { return SSL_has_pending(ssl_.get()) != 0; }

  void close() override {
    // After a fatal error OpenSSL forbids a shutdown.
    if (failed_ || SSL_in_init(ssl_.get()) != 0) return;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }

  const TlsFailure& failure() const override { return failure_; }
  std::string server_name() const override { return name_of(ssl_.get()); }
  bool protocol_agreed() const override {
    const unsigned char* name = nullptr;
    unsigned int size_bytes = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size_bytes);
    return size_bytes > 0;
  }

 private:
  TlsResult result_of(int returned, std::size_t size_bytes) {
    if (returned == 1) return {TlsStatus::kOk, size_bytes};
    const int saved_errno = errno;
    switch (SSL_get_error(ssl_.get(), returned)) {
      case SSL_ERROR_WANT_READ:
        return {TlsStatus::kWantRead, 0};
      case SSL_ERROR_WANT_WRITE:
        return {TlsStatus::kWantWrite, 0};
      case SSL_ERROR_ZERO_RETURN:
        return {TlsStatus::kClosed, 0};
      case SSL_ERROR_SYSCALL:
        failed_ = true;
        failure_.text = base::errno_error("TLS", saved_errno).message;
        return {saved_errno == ECONNRESET || saved_errno == EPIPE || saved_errno == 0
                    ? TlsStatus::kClosed
                    : TlsStatus::kFailed,
                0};
      default:
        break;
    }
    failed_ = true;
    failure_.peer_distrusts_us = is_distrust(ERR_GET_REASON(ERR_peek_error()));
    failure_.text = openssl_error("TLS").message;
    return {TlsStatus::kFailed, 0};
  }

  Ssl ssl_;
  TlsFailure failure_;
  bool failed_ = false;
};

class Server final : public TlsServer {
 public:
  Server(Options options, Context context)
      : options_(std::move(options)), context_(std::move(context)) {
    wire_protocol_ = static_cast<char>(options_.protocol.size()) + options_.protocol;
    SSL_CTX_set_cert_cb(context_.get(), &Server::choose_certificate, this);
    SSL_CTX_set_alpn_select_cb(context_.get(), &Server::choose_protocol, this);
  }

  base::Result<std::unique_ptr<TlsStream>> accept(int fd) override {
    Ssl ssl(SSL_new(context_.get()));
    if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return openssl_error("accept TLS");
    SSL_set_accept_state(ssl.get());
    return std::unique_ptr<TlsStream>(std::make_unique<Stream>(std::move(ssl)));
  }

 private:
  static int choose_certificate(SSL* ssl, void* self) {
    return static_cast<Server*>(self)->set_certificate(ssl) ? 1 : 0;
  }

  bool set_certificate(SSL* ssl) const {
    const std::string name = name_of(ssl);
    const bool known = !name.empty() && options_.name_exists && options_.name_exists(name);
    const auto identity = options_.authority->server_identity(known ? name : "localhost");
    if (!identity) {
      base::log(base::LogLevel::kError, "net", base::to_string(identity.error()));
      return false;
    }
    return SSL_use_certificate(ssl, (*identity)->certificate.get()) == 1 &&
           SSL_use_PrivateKey(ssl, (*identity)->key.get()) == 1 &&
           SSL_add1_chain_cert(ssl, (*identity)->authority.get()) == 1;
  }

  static int choose_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size,
                             const unsigned char* offered, unsigned int offered_size, void* self) {
    const auto& ours = static_cast<Server*>(self)->wire_protocol_;
    unsigned char* chosen = nullptr;
    const int found = SSL_select_next_proto(
        &chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
        static_cast<unsigned int>(ours.size()), offered, offered_size);
    if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
  }

  const Options options_;
  std::string wire_protocol_;
  Context context_;
};

}  // namespace

base::Result<std::unique_ptr<TlsServer>> TlsServer::create(Options options) {
  CHECK(options.authority != nullptr && !options.protocol.empty() && options.protocol.size() < 256,
        "a TLS server needs an authority and a protocol");
  Context context(SSL_CTX_new(TLS_server_method()));
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context.get(), kCiphers12) != 1) {
    return openssl_error("make TLS context");
  }
  // A client that goes without a goodbye is an end of stream: PostgreSQL's protocol has its own.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                         SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  // One read for a record's header and body, and for several records.
  SSL_CTX_set_read_ahead(context.get(), 1);
  return std::unique_ptr<TlsServer>(
      std::make_unique<Server>(std::move(options), std::move(context)));
}

}  // namespace zorya::net
