#include "net/authority.h"

#include "base/files.h"
#include "base/log.h"
#include "net/certificate.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <mutex>

namespace zorya::net {
namespace {

using std::chrono::hours;

constexpr hours kAuthorityLife{24 * 3650};
constexpr hours kAuthorityRenewal{24 * 60};
constexpr hours kServerLife{24 * 30};
constexpr hours kServerRenewal{24 * 10};
constexpr std::size_t kNameCountMax = 1000;
constexpr std::size_t kFileBytesMax = 64 << 10;

struct AuthorityFiles {
  std::filesystem::path certificate;
  std::filesystem::path key;
};

struct Pair {
  Key key;
  Certificate certificate;
};

base::Result<void> check_private(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return base::errno_error("stat " + path.string(), errno);
  if ((info.st_mode & 077) == 0) return {};
  return base::Error{base::Code::kFailedPrecondition,
                     "key file " + path.string() + " can be read by others",
                     "chmod 600 " + path.string()};
}

base::Result<Pair> read_pair(const AuthorityFiles& files) {
  ZORYA_TRY(check_private(files.key));
  ZORYA_ASSIGN(const std::string certificate, base::read_file(files.certificate, kFileBytesMax));
  ZORYA_ASSIGN(const std::string key, base::read_file(files.key, kFileBytesMax));
  Pair out;
  ZORYA_ASSIGN(out.certificate, parse_certificate(certificate));
  ZORYA_ASSIGN(out.key, parse_key(key));
  if (X509_check_private_key(out.certificate.get(), out.key.get()) != 1) {
    (void)openssl_error("");
    return base::Error{base::Code::kFailedPrecondition,
                       files.key.string() + " is not the key of " + files.certificate.string(),
                       "remove both files to make a new authority"};
  }
  return out;
}

base::Result<void> make_pair(const AuthorityFiles& files, const std::string& region, Time now) {
  ZORYA_ASSIGN(const Key key, make_key());
  ZORYA_ASSIGN(const Certificate certificate,
               make_authority_certificate(key.get(), region, now, now + kAuthorityLife));
  ZORYA_ASSIGN(const std::string key_text, print_key(key.get()));
  ZORYA_ASSIGN(const std::string certificate_text, print_certificate(certificate.get()));
  // The certificate last: a key without one is a start that was cut short, and is made again.
  std::error_code ignored;
  std::filesystem::remove(files.certificate, ignored);
  ZORYA_TRY(base::write_file_atomically(files.key, key_text, 0600));
  return base::write_file_atomically(files.certificate, certificate_text, 0644);
}

class FileAuthority final : public Authority {
 public:
  FileAuthority(AuthorityFiles files, Pair pair, Key server_key, std::string pem,
                const base::Clock& clock)
      : files_(std::move(files)),
        pair_(std::move(pair)),
        server_key_(std::move(server_key)),
        pem_(std::move(pem)),
        clock_(clock) {}

  const std::filesystem::path& certificate_file() const override { return files_.certificate; }
  const std::string& certificate_pem() const override { return pem_; }

  base::Result<std::shared_ptr<const ServerIdentity>> server_identity(
      std::string_view name) override {
    const Time now = clock_.now();
    const std::lock_guard lock(mutex_);
    const auto found = identities_.find(name);
    if (found != identities_.end() && now < found->second->renew_at) return found->second;
    ZORYA_ASSIGN(auto made, make_identity(std::string(name), now));
    if (identities_.size() >= kNameCountMax) identities_.clear();
    identities_.insert_or_assign(std::string(name), made);
    return made;
  }

 private:
  base::Result<std::shared_ptr<const ServerIdentity>> make_identity(const std::string& name,
                                                                    Time now) const {
    const Time end = std::min(now + kServerLife, end_of(pair_.certificate.get()));
    auto made = std::make_shared<ServerIdentity>();
    ZORYA_ASSIGN(made->certificate,
                 make_server_certificate(server_key_.get(), name, pair_.certificate.get(),
                                         pair_.key.get(), now, end));
    EVP_PKEY_up_ref(server_key_.get());
    made->key.reset(server_key_.get());
    X509_up_ref(pair_.certificate.get());
    made->authority.reset(pair_.certificate.get());
    made->renew_at = end - kServerRenewal;
    return std::shared_ptr<const ServerIdentity>(std::move(made));
  }

  const AuthorityFiles files_;
  const Pair pair_;
  const Key server_key_;  // in memory only: a new one at each start
  const std::string pem_;
  const base::Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const ServerIdentity>, std::less<>> identities_;
};

}  // namespace

base::Result<std::unique_ptr<Authority>> Authority::open(const Options& options) {
  ZORYA_TRY(base::make_folder(options.folder, 0755));
  AuthorityFiles files{.certificate = options.folder / "ca.pem", .key = options.folder / "ca.key"};
  const Time now = options.clock->now();
  std::error_code error;
  if (!std::filesystem::exists(files.certificate, error)) {
    ZORYA_TRY(make_pair(files, options.region, now));
  }
  ZORYA_ASSIGN(Pair pair, read_pair(files));
  if (end_of(pair.certificate.get()) - kAuthorityRenewal < now) {
    base::log(base::LogLevel::kWarning, "net",
              "the certificate authority was about to expire; clients must trust the new " +
                  files.certificate.string());
    ZORYA_TRY(make_pair(files, options.region, now));
    ZORYA_ASSIGN(pair, read_pair(files));
  }
  ZORYA_ASSIGN(Key server_key, make_key());
  ZORYA_ASSIGN(std::string pem, print_certificate(pair.certificate.get()));
  return std::unique_ptr<Authority>(std::make_unique<FileAuthority>(
      std::move(files), std::move(pair), std::move(server_key), std::move(pem), *options.clock));
}

}  // namespace zorya::net
