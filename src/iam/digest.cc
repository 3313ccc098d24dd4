#include "iam/digest.h"

#include "base/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace zorya::iam {

Sha256 sha256(std::string_view data) {
  Sha256 out{};
  unsigned int size_bytes = 0;
  const int ok =
      EVP_Digest(data.data(), data.size(), out.data(), &size_bytes, EVP_sha256(), nullptr);
  CHECK(ok == 1 && size_bytes == out.size(), "SHA-256 is not available");
  return out;
}

Sha256 hmac_sha256(std::span<const std::uint8_t> key, std::string_view data) {
  Sha256 out{};
  unsigned int size_bytes = 0;
  const auto* const ok = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                              reinterpret_cast<const unsigned char*>(data.data()), data.size(),
                              out.data(), &size_bytes);
  CHECK(ok != nullptr && size_bytes == out.size(), "HMAC-SHA-256 is not available");
  return out;
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace zorya::iam
