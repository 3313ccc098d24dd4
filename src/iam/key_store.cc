#include "iam/key_store.h"

#include "base/files.h"
#include "base/random.h"
#include "iam/policy.h"

#include <boost/json.hpp>
#include <sys/stat.h>

#include <map>
#include <mutex>

namespace zorya::iam {
namespace {

namespace json = boost::json;
using Time = std::chrono::system_clock::time_point;

// An expired key is remembered for a while, so that its owner is told that it expired.
constexpr std::chrono::hours kRemembered{1};
constexpr std::size_t kSessionCountMax = 100'000;

std::string random_from(std::string_view alphabet, std::size_t count) {
  std::string out;
  out.reserve(count);
  const std::size_t limit = 256 - 256 % alphabet.size();
  while (out.size() < count) {
    std::uint8_t bytes[64];
    base::fill_random(bytes);
    for (const std::uint8_t byte : bytes) {
      if (byte < limit && out.size() < count) out += alphabet[byte % alphabet.size()];
    }
  }
  return out;
}

std::string make_key_id(std::string_view prefix) {
  return std::string(prefix) + random_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16);
}

std::string make_secret(std::size_t count) {
  return random_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", count);
}

base::Result<std::string> member(const json::object& object, std::string_view name) {
  const auto* const value = object.if_contains(name);
  if (value == nullptr || !value->is_string() || value->get_string().empty()) {
    return base::Error{base::Code::kInvalidArgument, "no member " + std::string(name), {}};
  }
  return std::string(value->get_string());
}

base::Result<AccessKey> parse_key(std::string_view text) {
  json::error_code error;
  const json::value document = json::parse({text.data(), text.size()}, error);
  if (error || !document.is_object()) {
    return base::Error{base::Code::kInvalidArgument, "not a JSON object", {}};
  }
  const auto& object = document.get_object();
  AccessKey key;
  ZORYA_ASSIGN(key.access_key_id, member(object, "access_key_id"));
  ZORYA_ASSIGN(key.secret_access_key, member(object, "secret_access_key"));
  ZORYA_ASSIGN(key.identity.arn, member(object, "arn"));
  const auto* const policy = object.if_contains("policy");
  if (policy == nullptr) return base::Error{base::Code::kInvalidArgument, "no member policy", {}};
  ZORYA_ASSIGN(key.identity.policy, parse_policy(json::serialize(*policy)));
  return key;
}

std::string print_key(const AccessKey& key) {
  return json::serialize(
             json::object{{"access_key_id", key.access_key_id},
                          {"secret_access_key", key.secret_access_key},
                          {"arn", key.identity.arn},
                          {"policy", json::parse(policy_document(key.identity.policy))}}) +
         "\n";
}

base::Result<AccessKey> read_key(const std::filesystem::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return base::errno_error("stat " + path.string(), errno);
  if ((info.st_mode & 077) != 0) {
    return base::Error{base::Code::kFailedPrecondition,
                       "key file " + path.string() + " can be read by others",
                       "chmod 600 " + path.string()};
  }
  ZORYA_ASSIGN(const std::string text, base::read_file(path, 64 << 10));
  auto key = parse_key(text);
  if (!key) return key.error().with_context("read key " + path.string());
  return key;
}

AccessKey make_admin(std::string_view account) {
  AccessKey key;
  key.access_key_id = make_key_id("AKIA");
  key.secret_access_key = make_secret(40);
  key.identity.arn = "arn:aws:iam::" + std::string(account) + ":user/admin";
  key.identity.policy = {{.allow = true, .actions = {"*"}, .resources = {"*"}}};
  return key;
}

class FileKeyStore final : public KeyStore {
 public:
  FileKeyStore(AccessKey admin, std::map<std::string, AccessKey, std::less<>> keys,
               const base::Clock& clock)
      : admin_(std::move(admin)), clock_(clock), keys_(std::move(keys)) {}

  AccessKey admin() const override { return admin_; }

  std::optional<AccessKey> find(std::string_view access_key_id) const override {
    const std::lock_guard lock(mutex_);
    const auto found = keys_.find(access_key_id);
    if (found == keys_.end()) return std::nullopt;
    return found->second;
  }

  AccessKey mint_session(Identity identity, std::chrono::seconds lifetime) override {
    const Time now = clock_.now();
    AccessKey key;
    key.access_key_id = make_key_id("ASIA");
    key.secret_access_key = make_secret(40);
    key.session_token = make_secret(120);
    key.expires = now + lifetime;
    key.identity = std::move(identity);
    const std::lock_guard lock(mutex_);
    forget_old(now);
    by_expiry_.emplace(*key.expires, key.access_key_id);
    keys_.emplace(key.access_key_id, key);
    return key;
  }

 private:
  void forget_old(Time now) {
    while (!by_expiry_.empty() && (by_expiry_.begin()->first + kRemembered < now ||
                                   by_expiry_.size() >= kSessionCountMax)) {
      keys_.erase(by_expiry_.begin()->second);
      by_expiry_.erase(by_expiry_.begin());
    }
  }

  const AccessKey admin_;
  const base::Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, AccessKey, std::less<>> keys_;
  std::multimap<Time, std::string> by_expiry_;
};

}  // namespace

base::Result<std::unique_ptr<KeyStore>> KeyStore::open(const std::filesystem::path& folder,
                                                       std::string_view account,
                                                       const base::Clock& clock) {
  ZORYA_TRY(base::make_folder(folder, 0700));
  const auto admin_path = folder / "admin.json";
  std::error_code error;
  if (!std::filesystem::exists(admin_path, error)) {
    ZORYA_TRY(base::write_file_atomically(admin_path, print_key(make_admin(account)), 0600));
  }
  ZORYA_ASSIGN(AccessKey admin, read_key(admin_path));
  std::map<std::string, AccessKey, std::less<>> keys;
  std::filesystem::directory_iterator files(folder, error);
  if (error) return base::errno_error("list " + folder.string(), error.value());
  for (const auto& file : files) {
    if (file.path().extension() != ".json") continue;
    ZORYA_ASSIGN(AccessKey key, read_key(file.path()));
    std::string id = key.access_key_id;
    if (!keys.emplace(std::move(id), std::move(key)).second) {
      return base::Error{base::Code::kInvalidArgument,
                         "key file " + file.path().string() + " repeats the id of another",
                         {}};
    }
  }
  return std::unique_ptr<KeyStore>(
      std::make_unique<FileKeyStore>(std::move(admin), std::move(keys), clock));
}

}  // namespace zorya::iam
