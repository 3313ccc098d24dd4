#include "net/certificate.h"

#include "base/random.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <utility>
#include <vector>

namespace zorya::net {
namespace {

using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using Number = std::unique_ptr<BIGNUM, Freer<BN_free>>;

// Clocks of clients differ from ours.
constexpr std::chrono::hours kValidBefore{1};

base::Result<std::string> text_of(BIO* bio) {
  char* data = nullptr;
  const long size_bytes = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size_bytes));
}

bool set_serial(X509* certificate) {
  std::uint8_t bytes[16];
  base::fill_random(bytes);
  bytes[0] &= 0x7f;
  const Number number(BN_bin2bn(bytes, sizeof bytes, nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_time(ASN1_TIME* field, Time time) {
  return ASN1_TIME_set(field, std::chrono::system_clock::to_time_t(time)) != nullptr;
}

bool set_name(X509_NAME* name, const std::string& common_name) {
  const auto add = [name](const char* field, const std::string& value) {
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                      reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
  };
  return add("O", "Zorya") && add("CN", common_name);
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

struct Wish {
  std::string common_name;
  EVP_PKEY* key = nullptr;
  X509* issuer = nullptr;  // nothing: signs itself
  EVP_PKEY* issuer_key = nullptr;
  Time now;
  Time end;
  std::vector<std::pair<int, std::string>> extensions;
};

base::Result<Certificate> make_certificate(const Wish& wish) {
  Certificate out(X509_new());
  X509* const issuer = wish.issuer == nullptr ? out.get() : wish.issuer;
  bool ok = out && X509_set_version(out.get(), X509_VERSION_3) == 1 && set_serial(out.get()) &&
            set_time(X509_getm_notBefore(out.get()), wish.now - kValidBefore) &&
            set_time(X509_getm_notAfter(out.get()), wish.end) &&
            set_name(X509_get_subject_name(out.get()), wish.common_name) &&
            X509_set_issuer_name(out.get(), X509_get_subject_name(issuer)) == 1 &&
            X509_set_pubkey(out.get(), wish.key) == 1;
  for (const auto& [nid, value] : wish.extensions) {
    ok = ok && add_extension(out.get(), issuer, nid, value);
  }
  if (!ok || X509_sign(out.get(), wish.issuer_key, EVP_sha256()) == 0) {
    return openssl_error("make certificate " + wish.common_name);
  }
  return out;
}

}  // namespace

base::Error openssl_error(std::string_view what) {
  char text[256] = "unknown error";
  if (const unsigned long code = ERR_peek_error(); code != 0) {
    ERR_error_string_n(code, text, sizeof text);
  }
  ERR_clear_error();
  return base::Error{base::Code::kInternal, std::string(what) + ": " + text, {}};
}

base::Result<Key> make_key() {
  Key key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("make key");
  return key;
}

base::Result<std::string> print_key(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_secmem()));
  if (!bio ||
      PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return openssl_error("print key");
  }
  return text_of(bio.get());
}

base::Result<std::string> print_certificate(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) {
    return openssl_error("print certificate");
  }
  return text_of(bio.get());
}

base::Result<Key> parse_key(const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  char no_password[] = "";  // never ask on the terminal
  Key key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, no_password) : nullptr);
  if (!key) return openssl_error("read key");
  return key;
}

base::Result<Certificate> parse_certificate(const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Certificate out(bio ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  if (!out) return openssl_error("read certificate");
  return out;
}

Time end_of(const X509* certificate) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) != 1) return Time{};
  return std::chrono::system_clock::from_time_t(timegm(&utc));
}

base::Result<Certificate> make_authority_certificate(EVP_PKEY* key, const std::string& region,
                                                     Time now, Time end) {
  // A suffix, so that two instances' authorities can be told apart in a trust store.
  return make_certificate(
      {.common_name = "Zorya local authority " + base::random_alphanumeric(6),
       .key = key,
       .issuer_key = key,
       .now = now,
       .end = end,
       .extensions = {
           {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
           {NID_key_usage, "critical,keyCertSign,cRLSign"},
           {NID_subject_key_identifier, "hash"},
           {NID_name_constraints, "critical,permitted;DNS:localhost,permitted;DNS:dsql." + region +
                                      ".on.aws,permitted;IP:127.0.0.0/255.0.0.0,"
                                      "permitted;IP:0:0:0:0:0:0:0:1/"
                                      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}}});
}

base::Result<Certificate> make_server_certificate(EVP_PKEY* key, const std::string& name,
                                                  X509* authority, EVP_PKEY* authority_key,
                                                  Time now, Time end) {
  std::string names = "DNS:localhost,IP:127.0.0.1,IP:0:0:0:0:0:0:0:1";
  if (name != "localhost") names = "DNS:" + name + "," + names;
  return make_certificate({.common_name = name,
                           .key = key,
                           .issuer = authority,
                           .issuer_key = authority_key,
                           .now = now,
                           .end = end,
                           .extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                                          {NID_key_usage, "critical,digitalSignature"},
                                          {NID_ext_key_usage, "serverAuth"},
                                          {NID_subject_key_identifier, "hash"},
                                          {NID_authority_key_identifier, "keyid"},
                                          {NID_subject_alt_name, names}}});
}

}  // namespace zorya::net
