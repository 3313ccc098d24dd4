#include "cluster/account.h"

#include <pwd.h>
#include <unistd.h>

#include <array>

namespace zorya::cluster {

base::Result<Account> server_account() {
  if (::geteuid() != 0) return Account{};
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  const int status = ::getpwnam_r("postgres", &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return Account{entry.pw_uid, entry.pw_gid};
  if (status != 0) return base::errno_error("look up the user postgres", status);
  return base::Error{
      base::Code::kNotFound,
      "look up the user postgres: there is none; as root the database runs as that user",
      "install the package postgresql-15, or run as a plain user"};
}

base::ChildSpec command_as(const Account& account, std::vector<std::string> argv) {
  base::ChildSpec spec;
  spec.argv = std::move(argv);
  spec.environment = {"LC_ALL=C", "PATH=/usr/bin:/bin", "TZ=UTC"};
  spec.uid = account.uid;
  spec.gid = account.gid;
  return spec;
}

}  // namespace zorya::cluster
