#include "cluster/template_folder.h"

#include "base/files.h"
#include "base/random.h"
#include "cluster/folders.h"
#include "cluster/server.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>

namespace zorya::cluster {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

constexpr seconds kInitTimeout{120};
constexpr seconds kServeTimeout{60};
constexpr seconds kSqlTimeout{120};
constexpr seconds kStopTimeout{30};

/// Run last: the server is then without databases to make others from, which nothing of ours does.
constexpr std::string_view kSlim =
    "UPDATE pg_database SET datistemplate = false;\n"
    "DROP DATABASE template0;\n"
    "DROP DATABASE template1;\n"
    "VACUUM FREEZE ANALYZE;\n"
    "CHECKPOINT;\n";

base::Result<void> check_run(const base::Result<base::CommandResult>& run, std::string_view what) {
  if (!run) return run.error().with_context(what);
  if (run->exit_status == 0) return {};
  std::string output = run->output;
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return base::Error{
      base::Code::kIo,
      std::string(what) + ": exit code " + std::to_string(run->exit_status) + ": " + output,
      {}};
}

base::Result<void> init_data_folder(const TemplateSpec& spec, const fs::path& data,
                                    base::Launcher& launcher) {
  base::ChildSpec initdb = command_as(
      spec.account, {(spec.postgres_folder / "initdb").string(), "-D", data.string(), "-U",
                     std::string(kOwnerRole), "-E", "UTF8", "--locale=C", "--wal-segsize=1", "-A",
                     "trust", "--no-sync", "--no-instructions"});
  ZORYA_TRY(check_run(launcher.run(std::move(initdb), kInitTimeout), "initdb"));
  // Every setting is given at the start; a client's or an old default must not come from here.
  for (const char* name : {"postgresql.conf", "postgresql.auto.conf"}) {
    ZORYA_TRY(
        base::write_file_atomically(data / name, "# Settings are given at the start.\n", 0600));
    if (spec.account.is_other() &&
        ::chown((data / name).c_str(), *spec.account.uid, *spec.account.gid) != 0) {
      return base::errno_error("chown " + (data / name).string(), errno);
    }
  }
  return {};
}

/// Runs as ourselves, who can read the files, wherever they lie.
base::Result<void> run_sql_file(const TemplateSpec& spec, const fs::path& socket_folder,
                                const fs::path& file, base::Launcher& launcher) {
  base::ChildSpec psql = command_as(
      Account{}, {(spec.postgres_folder / "psql").string(), "-X", "-q", "-v", "ON_ERROR_STOP=1",
                  "-h", socket_folder.string(), "-p", "5432", "-U", std::string(kOwnerRole), "-d",
                  std::string(kDatabase), "-f", file.string()});
  return check_run(launcher.run(std::move(psql), kSqlTimeout), "run " + file.string());
}

base::Result<void> fill_template(const TemplateSpec& spec, const fs::path& folder,
                                 base::Launcher& launcher) {
  ServerSpec server_spec;
  server_spec.program = spec.postgres_folder / "postgres";
  server_spec.data_folder = folder / "data";
  server_spec.socket_folder = socket_folder_of(folder);
  server_spec.rules_file = folder / "pg_hba.conf";
  server_spec.owner_door = OwnerDoor::kOpen;
  server_spec.log_file = folder / "server.log";
  server_spec.library_folder = spec.extension.folder;
  server_spec.settings = template_settings();
  server_spec.settings.insert(server_spec.settings.end(), spec.extension.settings.begin(),
                              spec.extension.settings.end());
  server_spec.account = spec.account;

  ServerLog log(server_spec.log_file);
  ZORYA_ASSIGN(Server server, Server::start(server_spec, launcher, log));
  ZORYA_TRY(server.wait_until_serving(kOwnerRole, kServeTimeout, -1));
  for (const fs::path& file : spec.extension.sql_files) {
    ZORYA_TRY(run_sql_file(spec, server_spec.socket_folder, file, launcher));
  }
  const fs::path slim = folder / "slim.sql";
  ZORYA_TRY(base::write_file_atomically(slim, kSlim, 0600));
  ZORYA_TRY(run_sql_file(spec, server_spec.socket_folder, slim, launcher));
  server.stop(kStopTimeout);
  std::error_code ignored;
  fs::remove_all(server_spec.socket_folder, ignored);
  return {};
}

base::Result<void> make_template(const TemplateSpec& spec, const fs::path& making,
                                 const fs::path& made, base::Launcher& launcher) {
  ZORYA_TRY(base::make_folder(making, spec.account.is_other() ? 0711 : 0700));
  ZORYA_TRY(make_server_folder(making / "data", spec.account, 0700));
  ZORYA_TRY(init_data_folder(spec, making / "data", launcher));
  ZORYA_TRY(fill_template(spec, making, launcher));
  // Nothing was synced yet: the name must not be there before the bytes are.
  ZORYA_TRY(settle_for_server(making / "data", spec.account));
  std::error_code error;
  fs::rename(making / "data", made, error);
  if (error) return base::errno_error("rename to " + made.string(), error.value());
  return base::sync_path(spec.clusters);
}

}  // namespace

base::Result<fs::path> ensure_template(const TemplateSpec& spec, base::Launcher& launcher) {
  const fs::path made = spec.clusters / (".template-" + spec.extension.key);
  std::error_code error;
  if (fs::exists(made, error)) return made;
  const fs::path making = spec.clusters / (".making-" + base::random_alphanumeric(8));
  auto result = make_template(spec, making, made, launcher);
  fs::remove_all(making, error);
  if (!result) return result.error().with_context("make the database's template");
  return made;
}

}  // namespace zorya::cluster
