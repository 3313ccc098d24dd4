#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace zorya::net {

/// A private key with its certificate and that of its authority; opaque outside this room. It may
/// be used from any thread.
struct ServerIdentity;

/// The certificate authority of one instance, which clients are told to trust. Its certificate
/// carries name constraints: it can vouch for this machine's loopback names and for
/// *.dsql.<region>.on.aws, and for nothing else, so that trusting it costs little.
///
/// Any thread.
class Authority {
 public:
  struct Options {
    std::filesystem::path folder;  // ca.pem (0644) and ca.key (0600) are kept here
    std::string region = "us-east-1";
    const base::Clock* clock = &base::system_clock();  // outlives the authority
  };

  /// Makes the authority (EC P-256, ten years) at the first start, and again when its end is less
  /// than 60 days away: then a warning says that clients must trust the new file. Errors: files
  /// that cannot be read or written, a key that others can read or that is not the certificate's.
  static base::Result<std::unique_ptr<Authority>> open(const Options& options);
  virtual ~Authority() = default;

  /// "<folder>/ca.pem": for sslrootcert=, and for messages that say how to trust us.
  [[nodiscard]] virtual const std::filesystem::path& certificate_file() const = 0;
  [[nodiscard]] virtual const std::string& certificate_pem() const = 0;

  /// The identity of a server called `name` (a DNS name), also valid as localhost and 127.0.0.1.
  /// Good for 30 days; made at the first call and again when a third of its life is left. At most a
  /// thousand names are kept: call it for names that exist, not for any that a client sends.
  virtual base::Result<std::shared_ptr<const ServerIdentity>> server_identity(
      std::string_view name) = 0;
};

}  // namespace zorya::net
