#include "query_processor/jobs/board.h"

#include "query_processor/shared_memory.h"

#include <atomic>

extern "C" {
#include "miscadmin.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "utils/wait_event.h"
}

namespace zorya::query_processor::jobs {
namespace {

// Layout 1. Claims and the launcher's latch under `mutex`.
struct Board {
  std::uint32_t layout_version;
  slock_t mutex;
  Latch* launcher;
  std::atomic<std::uint32_t> wakes;
  std::atomic<std::uint32_t> ended_rows;  // since somebody was last asked to forget old ones
  ConditionVariable ended;
  JobId claims[kWorkerCount];
  bool ended_in_order[kWorkerCount];
};

Board* board = nullptr;

void attach(void* memory, bool is_new) {
  board = static_cast<Board*>(memory);
  if (!is_new) return;
  new (board) Board{};
  board->layout_version = 1;
  SpinLockInit(&board->mutex);
  ConditionVariableInit(&board->ended);
}

void forget_launcher(int /*code*/, Datum /*argument*/) {
  SpinLockAcquire(&board->mutex);
  board->launcher = nullptr;
  SpinLockRelease(&board->mutex);
}

}  // namespace

void install_board() {
  share_memory({.name = "zorya jobs", .size_bytes = sizeof(Board), .attach = attach});
}

void wake_launcher() noexcept {
  ++board->wakes;
  SpinLockAcquire(&board->mutex);
  Latch* launcher = board->launcher;
  SpinLockRelease(&board->mutex);
  // A latch of a process that has just ended is still memory of the server's: the wake is not lost,
  // it is counted.
  if (launcher != nullptr) SetLatch(launcher);
}

bool note_ended_rows(int count) {
  constexpr std::uint32_t kRowsBetweenCleanings = 256;
  const auto added = static_cast<std::uint32_t>(count);
  const std::uint32_t rows = board->ended_rows += added;
  if (rows < kRowsBetweenCleanings) return false;
  board->ended_rows = 0;
  return true;
}

void become_launcher() {
  on_shmem_exit(forget_launcher, Datum{0});
  SpinLockAcquire(&board->mutex);
  board->launcher = &MyProc->procLatch;
  SpinLockRelease(&board->mutex);
}

bool take_wake() { return board->wakes.exchange(0) != 0; }

namespace {

/// Under the mutex.
bool other_has(int worker, const JobId& id) {
  for (int i = 0; i < kWorkerCount; ++i) {
    if (i != worker && strcmp(board->claims[i].text, id.text) == 0) return true;
  }
  return false;
}

}  // namespace

bool is_claimed_by_other(int worker, const JobId& id) {
  SpinLockAcquire(&board->mutex);
  const bool taken = other_has(worker, id);
  SpinLockRelease(&board->mutex);
  return taken;
}

bool claim(int worker, const JobId& id) {
  SpinLockAcquire(&board->mutex);
  const bool taken = other_has(worker, id);
  if (!taken) board->claims[worker] = id;
  SpinLockRelease(&board->mutex);
  return !taken;
}

void release_claim(int worker) {
  SpinLockAcquire(&board->mutex);
  board->claims[worker] = JobId{};
  SpinLockRelease(&board->mutex);
}

void note_orderly_end(int worker) {
  SpinLockAcquire(&board->mutex);
  board->ended_in_order[worker] = true;
  SpinLockRelease(&board->mutex);
}

bool take_orderly_end(int worker) {
  SpinLockAcquire(&board->mutex);
  const bool in_order = board->ended_in_order[worker];
  board->ended_in_order[worker] = false;
  SpinLockRelease(&board->mutex);
  return in_order;
}

void tell_ended() { ConditionVariableBroadcast(&board->ended); }
void prepare_to_wait_for_end() { ConditionVariablePrepareToSleep(&board->ended); }
void wait_for_end(long timeout_ms) {
  ConditionVariableTimedSleep(&board->ended, timeout_ms, PG_WAIT_EXTENSION);
}
void cancel_wait_for_end() { ConditionVariableCancelSleep(); }

}  // namespace zorya::query_processor::jobs
