#pragma once

#include "base/launcher.h"
#include "base/result.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zorya::cluster {

/// Where a cluster stands, in DSQL's words.
/// kActive with postmaster_pid 0: its server died or was killed and is being started again.
/// kInactive: it is there, but nobody asked for it since `open`, so its server does not run.
enum class State { kCreating, kActive, kInactive, kFailed, kDeleting };

std::string_view state_name(State state);

/// One database cluster as others see it.
struct ClusterInfo {
  std::string id;        // 26 characters of a-z and 0-9
  std::string endpoint;  // "<id>.dsql.<region>.on.aws"
  std::string arn;       // "arn:aws:dsql:<region>:<account>:cluster/<id>"
  State state = State::kCreating;
  std::string reason;  // why it failed; empty otherwise
  std::filesystem::path
      socket_folder;  // of the private server; connect to <socket_folder>/.s.PGSQL.5432
  std::string database = "postgres";
  pid_t postmaster_pid = 0;  // 0 when it does not run
};

/// How far a backup or a restore is.
struct CopyProgress {
  std::string_view step{};  // "copy", "verify", "start"
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;  // 0: not known
};
/// Told a few times a second, on the caller's thread. False ends what it tells of.
using OnProgress = std::function<bool(const CopyProgress&)>;

/// What a backup holds.
struct BackupInfo {
  std::string cluster{};  // id of the cluster that it is a copy of
  std::string made_at{};  // UTC, "2026-11-26T05:44:01Z"
  std::string postgresql{};
  std::uint64_t size_bytes = 0;
  std::map<std::string, std::string> notes{};  // of who asked for it
};

struct Options {
  std::filesystem::path data_folder;     // the instance's folder; ours is data_folder/clusters
  std::filesystem::path library_folder;  // lib/zorya of the build: the extension and its SQL
  std::string region = "us-east-1";
  std::string account = "000000000000";
  /// The folder of PostgreSQL's programs. Empty: that of the build, ZORYA_POSTGRES_FOLDER.
  std::filesystem::path postgres_folder{};
  /// Test only: a superuser `zorya_owner` may log in on the private socket. A shipped start never
  /// sets it.
  bool owner_door = false;
  /// Test only: more variables ("NAME=value") of the servers' environment, and settings that stand
  /// above those of the product. A shipped start sets neither, unless it was told that it serves
  /// tests.
  std::vector<std::string> server_environment{};
  std::vector<std::pair<std::string, std::string>> server_settings{};
};

/// The database clusters of one instance: makes, starts, supervises and stops one private
/// PostgreSQL server each. A server that dies is started again. Any thread; calls block (making a
/// cluster: under a second from the template, a few seconds if the template must be made first).
///
/// On disk, under data_folder/clusters: `<id>/data` (PostgreSQL's), `<id>/server.log` (and .1; at
/// most 2 MiB together), `<id>/pg_hba.conf`, `<id>/run` (the socket). As root PostgreSQL runs as
/// the user `postgres`, who owns `data` and `run` and can write nothing else.
class Clusters {
 public:
  /// Ends leftover servers of a killed predecessor on the same folder first. `launcher` outlives
  /// the result. kNotFound: PostgreSQL is not installed. kPermissionDenied: the server's user
  /// cannot reach the folder; the hint says which parent forbids it.
  static base::Result<std::unique_ptr<Clusters>> open(Options options, base::Launcher& launcher);
  virtual ~Clusters() = default;  // stops every server, fast shutdown

  /// The running cluster of that id, made if it is not there. kInvalidArgument for an id of another
  /// form; kUnavailable when its server does not start (the message holds PostgreSQL's own words);
  /// a later call tries again.
  struct Ensured {
    ClusterInfo info;
    bool created;
  };
  virtual base::Result<Ensured> ensure(std::string_view id) = 0;

  /// Copies a cluster, which is started if it does not run and goes on serving, to the folder `to`
  /// (absolute, not there yet or empty). Nothing is left on an error. kNotFound for an id that is
  /// not on disk; kAlreadyExists, kFailedPrecondition and kIo say what is in the way;
  /// kUnavailable if `on_progress` ended it. Minutes for gigabytes. As ourselves: the files are
  /// ours, 0600.
  virtual base::Result<BackupInfo> back_up(std::string_view id, const std::filesystem::path& to,
                                           const std::map<std::string, std::string>& notes,
                                           const OnProgress& on_progress) = 0;

  /// Makes the cluster `id` of a backup; it is not started. kAlreadyExists if there is one of that
  /// id; kInvalidArgument or kFailedPrecondition if the folder is no backup that we can read, with
  /// what it is instead; kIo if it is damaged or the disk is full. Nothing is left on an error.
  /// What a backup holds is trusted as the data folder is: it may run code as the server's user.
  virtual base::Result<BackupInfo> restore(const std::filesystem::path& from, std::string_view id,
                                           const OnProgress& on_progress) = 0;

  /// All that are on disk, by id.
  virtual std::vector<ClusterInfo> list() const = 0;
  virtual std::optional<ClusterInfo> find(std::string_view id) const = 0;

  /// Runs one statement on a cluster's server as `admin`, with `parameters` as $1, $2, …; gives the
  /// first column of its first row as text. kUnavailable: the server does not run or does not let
  /// us in; kFailedPrecondition with PostgreSQL's words: the statement failed; kDeadlineExceeded.
  virtual base::Result<std::string> ask(std::string_view id, const std::string& sql,
                                        const std::vector<std::string>& parameters,
                                        std::chrono::milliseconds timeout) const = 0;

  /// Stops all servers (fast shutdown, harder after eight seconds); idempotent. `ensure` answers
  /// kFailedPrecondition from then on.
  virtual void stop_all() = 0;
};

/// What the backup in `folder` says about itself; nothing of its files is read. Errors as of
/// `Clusters::restore`.
base::Result<BackupInfo> look_at_backup(const std::filesystem::path& folder);

/// True for 26 characters of a-z and 0-9.
bool is_cluster_id(std::string_view text);

/// A fresh cluster id.
std::string make_cluster_id();

/// The id that belongs to a stack and a logical id: the same at each call, 26 characters of a-z and
/// 0-9. `seed` is the instance's own random value, so that two instances do not share ids.
std::string cluster_id_for(std::string_view seed, std::string_view stack,
                           std::string_view logical_id);

}  // namespace zorya::cluster
