#pragma once

#include "base/result.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

// Internal to net: it brings OpenSSL's types.
namespace zorya::net {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;

struct ServerIdentity {
  Key key;
  Certificate certificate;
  Certificate authority;
  std::chrono::system_clock::time_point renew_at;
};

/// What OpenSSL has to say about the failure of `what`; empties its error queue.
base::Error openssl_error(std::string_view what);

base::Result<Key> make_key();  // EC P-256
base::Result<std::string> print_key(EVP_PKEY* key);
base::Result<std::string> print_certificate(X509* certificate);
base::Result<Key> parse_key(const std::string& pem);
base::Result<Certificate> parse_certificate(const std::string& pem);
std::chrono::system_clock::time_point end_of(const X509* certificate);

using Time = std::chrono::system_clock::time_point;

base::Result<Certificate> make_authority_certificate(EVP_PKEY* key, const std::string& region,
                                                     Time now, Time end);

/// Signed by the authority, for `name`, localhost and the loopback addresses.
base::Result<Certificate> make_server_certificate(EVP_PKEY* key, const std::string& name,
                                                  X509* authority, EVP_PKEY* authority_key,
                                                  Time now, Time end);

}  // namespace zorya::net
