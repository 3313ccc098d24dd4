#include "cluster/leftover.h"

#include "base/files.h"
#include "base/log.h"
#include "base/process.h"

#include <sys/ipc.h>
#include <sys/shm.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>

namespace zorya::cluster {
namespace {

constexpr std::chrono::seconds kEndTimeout{10};

/// The shared memory id of a pid file: the second number of its seventh line (PostgreSQL's
/// miscadmin.h, LOCK_FILE_LINE_SHMEM_KEY). -1 if there is none.
int shared_memory_id(const std::string& pid_file) {
  std::size_t at = 0;
  for (int line = 1; line < 7; ++line) {
    at = pid_file.find('\n', at);
    if (at == std::string::npos) return -1;
    ++at;
  }
  char* end = nullptr;
  std::strtoul(pid_file.c_str() + at, &end, 10);
  if (end == nullptr || *end != ' ') return -1;
  char* id_end = nullptr;
  const long id = std::strtol(end, &id_end, 10);
  return id_end == end ? -1 : static_cast<int>(id);
}

/// Only a segment that nobody is attached to and that this server made: after a reboot the
/// number may be somebody else's.
void remove_shared_memory(const std::string& pid_file) {
  const int id = shared_memory_id(pid_file);
  // A process without a postmaster (initdb runs some) writes its number as a negative one.
  const long owner = std::labs(std::strtol(pid_file.c_str(), nullptr, 10));
  shmid_ds info{};
  if (id >= 0 && ::shmctl(id, IPC_STAT, &info) == 0 && info.shm_nattch == 0 &&
      info.shm_cpid == owner) {
    ::shmctl(id, IPC_RMID, nullptr);
  }
}

}  // namespace

base::Result<void> end_leftover_server(const std::filesystem::path& data_folder) {
  const std::filesystem::path pid_path = data_folder / "postmaster.pid";
  const auto pid_file = base::read_file(pid_path, 4096);
  // Twice: a postmaster may have forked between the look and the kill.
  for (int round = 0; round < 2; ++round) {
    const auto processes = base::processes_working_in(data_folder, "postgres");
    if (processes.empty()) break;
    base::log(base::LogLevel::kWarning, "cluster",
              "ending " + std::to_string(processes.size()) +
                  " leftover database processes that work in " + data_folder.string());
    if (!base::kill_and_wait(processes, kEndTimeout)) {
      return base::Error{
          base::Code::kUnavailable,
          "end leftover database processes in " + data_folder.string() + ": they do not end",
          {}};
    }
  }
  if (!pid_file) return {};
  remove_shared_memory(*pid_file);
  std::error_code error;
  std::filesystem::remove(pid_path, error);
  if (error) return base::errno_error("remove " + pid_path.string(), error.value());
  return {};
}

}  // namespace zorya::cluster
