// The launcher: a process without a database connection, so that it weighs little while it waits.
// It starts a worker when somebody has left a job, and once at the server's start for what a crash
// left.
#include "query_processor/jobs/launcher.h"

#include "query_processor/jobs/board.h"
#include "query_processor/jobs/submit.h"

extern "C" {
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "utils/wait_event.h"
}

namespace zorya::query_processor::jobs {
namespace {

constexpr const char* kLibrary = "zorya_query_processor";
/// The first look after a start leaves the first connections the machine.
constexpr long kFirstLookMs = 100;
/// A worker that ended by an error is followed by another, later each time.
constexpr long kRetryMs = 500;
constexpr int kRetries = 7;

struct Slot {
  BackgroundWorkerHandle* handle;
};

struct State {
  Slot slots[kWorkerCount];
  bool wanted;    // a worker is to be started
  int failures;   // in a row
  long pause_ms;  // before the next start; -1: none
};

bool start_worker(State* state, int index) {
  BackgroundWorker worker{};
  strlcpy(worker.bgw_name, "zorya job worker", sizeof(worker.bgw_name));
  strlcpy(worker.bgw_type, "zorya job worker", sizeof(worker.bgw_type));
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = BGW_NEVER_RESTART;
  strlcpy(worker.bgw_library_name, kLibrary, sizeof(worker.bgw_library_name));
  strlcpy(worker.bgw_function_name, "zorya_job_worker_main", sizeof(worker.bgw_function_name));
  worker.bgw_main_arg = Int32GetDatum(index);
  worker.bgw_notify_pid = MyProcPid;
  return RegisterDynamicBackgroundWorker(&worker, &state->slots[index].handle);
}

/// Frees the slots of workers that ended; one that did not end in order is followed by another.
void look_after_workers(State* state) {
  for (int i = 0; i < kWorkerCount; ++i) {
    Slot* slot = &state->slots[i];
    pid_t pid = 0;
    if (slot->handle == nullptr) continue;
    if (GetBackgroundWorkerPid(slot->handle, &pid) != BGWH_STOPPED) continue;
    pfree(slot->handle);
    slot->handle = nullptr;
    release_claim(i);
    if (take_orderly_end(i)) {
      state->failures = 0;
    } else if (state->failures < kRetries) {
      state->pause_ms = kRetryMs << state->failures++;
      state->wanted = true;
    }
  }
}

void start_wanted_worker(State* state) {
  for (int i = 0; i < kWorkerCount && state->wanted; ++i) {
    if (state->slots[i].handle != nullptr) continue;
    if (!start_worker(state, i)) {
      state->pause_ms = kRetryMs;  // the server has no place for one now
      return;
    }
    state->wanted = false;
  }
}

void run_launcher() {
  State state{};
  state.wanted = true;
  state.pause_ms = kFirstLookMs;
  become_launcher();
  while (!ShutdownRequestPending) {
    const int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (state.pause_ms >= 0 ? WL_TIMEOUT : 0);
    const int woken = WaitLatch(MyLatch, events, state.pause_ms, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    if ((woken & WL_TIMEOUT) != 0) state.pause_ms = -1;
    if (take_wake()) {
      state.wanted = true;
      state.failures = 0;
      state.pause_ms = -1;
    }
    look_after_workers(&state);
    if (state.wanted && state.pause_ms < 0) start_wanted_worker(&state);
  }
}

void register_launcher() {
  BackgroundWorker launcher{};
  strlcpy(launcher.bgw_name, "zorya job launcher", sizeof(launcher.bgw_name));
  strlcpy(launcher.bgw_type, "zorya job launcher", sizeof(launcher.bgw_type));
  launcher.bgw_flags = BGWORKER_SHMEM_ACCESS;
  launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
  launcher.bgw_restart_time = 1;  // s
  strlcpy(launcher.bgw_library_name, kLibrary, sizeof(launcher.bgw_library_name));
  strlcpy(launcher.bgw_function_name, "zorya_job_launcher_main",
          sizeof(launcher.bgw_function_name));
  RegisterBackgroundWorker(&launcher);
}

}  // namespace

void install() {
  install_board();
  install_submissions();
  register_launcher();
}

}  // namespace zorya::query_processor::jobs

extern "C" __attribute__((visibility("default"))) void zorya_job_launcher_main(Datum) {
  pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
  // How the postmaster says that a worker has ended.
  pqsignal(SIGUSR1, procsignal_sigusr1_handler);
  BackgroundWorkerUnblockSignals();
  zorya::query_processor::jobs::run_launcher();
  proc_exit(0);
}
