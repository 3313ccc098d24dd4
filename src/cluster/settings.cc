#include "cluster/settings.h"

namespace zorya::cluster {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

base::Result<Settings> parse_settings(std::string_view text, std::string_view source) {
  Settings settings;
  std::size_t line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const std::size_t line_end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, line_end);
    text.remove_prefix(std::min(line_end + 1, text.size()));
    line = trimmed(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const std::size_t equals = line.find('=');
    const std::string_view key = trimmed(line.substr(0, equals));
    if (equals == std::string_view::npos || key.empty()) {
      return base::Error{
          base::Code::kInvalidArgument,
          std::string(source) + ":" + std::to_string(line_number) + ": expected `key = value`",
          {}};
    }
    settings.emplace_back(key, trimmed(line.substr(equals + 1)));
  }
  return settings;
}

Settings server_settings() {
  return {
      // Durability: what a COMMIT promises.
      {"fsync", "on"},
      {"synchronous_commit", "on"},
      {"full_page_writes", "on"},
      // Before a recovery all of the data folder is synced: file by file took 2 to 4 s on a disk
      // where
      // this takes milliseconds. Kernels since 5.8 report its errors as well.
      {"recovery_init_sync_method", "syncfs"},
      {"wal_level", "replica"},  // for backups; minimal was measured to give nothing here
      {"max_wal_size", "64MB"},
      {"min_wal_size", "8MB"},
      {"wal_recycle", "on"},
      // A small server that rests most of the time. Shared memory counts only where it was touched.
      {"shared_buffers", "64MB"},
      // In the data folder: what a killed server leaves in /dev/shm nobody would remove.
      {"dynamic_shared_memory_type", "mmap"},
      {"huge_pages", "off"},
      {"max_connections", "200"},
      // Locks of SERIALIZABLE, which no transaction is; their table is touched whole at the start.
      {"max_pred_locks_per_transaction", "10"},
      {"autovacuum", "on"},
      {"autovacuum_max_workers", "1"},
      {"max_worker_processes", "4"},  // the job launcher and two job workers
      {"max_parallel_workers", "0"},
      {"max_parallel_maintenance_workers", "0"},
      {"max_logical_replication_workers", "0"},
      // For a backup a connection for the rows and one, with a slot, for the log. Twice, for those
      // of one that was killed end a moment later.
      {"max_wal_senders", "4"},
      {"max_replication_slots", "2"},
      {"jit", "off"},
      // No statement waits for another transaction: locks of PostgreSQL's own are the exception.
      {"lock_timeout", "50ms"},
      {"deadlock_timeout", "10ms"},
      // A backend that is killed costs its cluster's sessions, not its server.
      {"restart_after_crash", "on"},
      // The log says what the server does. Errors of clients are the clients', and neither their
      // statements nor their values (DETAIL) belong into a file.
      {"log_destination", "stderr"},
      {"logging_collector", "off"},
      {"log_min_messages", "log"},
      {"log_min_error_statement", "panic"},
      {"log_error_verbosity", "terse"},
      {"log_checkpoints", "off"},
      {"log_line_prefix", "%m [%p] "},
      {"log_timezone", "UTC"},
      {"update_process_title", "off"},  // statements would show in ps
      // What clients see by default.
      {"timezone", "UTC"},
      {"datestyle", "ISO, MDY"},
      {"lc_messages", "C"},
      {"port", "5432"},  // of the socket's name; nothing listens on TCP
  };
}

Settings template_settings() {
  Settings settings = server_settings();
  // Two segments are the least: fewer bytes in each copy.
  settings.insert(settings.end(), {{"fsync", "off"},
                                   {"min_wal_size", "2MB"},
                                   {"max_wal_size", "4MB"},
                                   {"wal_recycle", "off"},
                                   {"autovacuum", "off"},
                                   {"lock_timeout", "0"}});
  return settings;
}

std::string access_rules(OwnerDoor door) {
  const std::string owner(kOwnerRole);
  const std::string database(kDatabase);
  std::string rules = "# Written at each start of the server; changes are lost.\n";
  rules += "local all " + owner + (door == OwnerDoor::kOpen ? " trust\n" : " reject\n");
  rules += "local all " + std::string(kJobRole) + " reject\n";
  // The backup's role can be nothing else, and nobody else can be it: clients come by the router,
  // which refuses replication.
  const std::string backup(kBackupRole);
  rules += "local replication " + backup + " trust\n";
  rules += "local replication all reject\n";
  rules += "local all " + backup + " reject\n";
  rules += "local " + database + " all trust\n";
  rules += "local all all reject\n";
  return rules;
}

}  // namespace zorya::cluster
