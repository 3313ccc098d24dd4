#include "query_processor/shared_state.h"

#include "query_processor/commit_ids.h"
#include "query_processor/pg/server.h"
#include "query_processor/plant.h"
#include "query_processor/settings.h"
#include "query_processor/shared_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace zorya::query_processor {
namespace {

using adjudicator::RecentKeys;

// Layout 3. Written by the postmaster at the start; then the counters by any backend, the rest
// under the decision lock.
struct SharedState {
  std::uint32_t layout_version;
  std::uint32_t unused;
  CommitCounters counters;
  std::uint64_t keys_decided;        // since the last sweep
  std::uint64_t touched_bytes_high;  // of the table, since pages were last given back
};

SharedState* shared = nullptr;
RecentKeys* recent_keys = nullptr;
LWLock* decision_lock = nullptr;

std::size_t recent_keys_size_bytes() {
  return static_cast<std::size_t>(settings().recent_keys_kib) * 1024;
}

void attach_state(void* memory, bool is_new) {
  shared = static_cast<SharedState*>(memory);
  if (!is_new) return;
  new (shared) SharedState{};
  shared->layout_version = 3;
}

/// The table is laid over the memory once; it keeps no pointers.
void attach_recent_keys(void* memory, bool is_new) {
  recent_keys =
      is_new ? RecentKeys::create({static_cast<std::byte*>(memory), recent_keys_size_bytes()})
             : static_cast<RecentKeys*>(memory);
}

/// Lets the system have back the pages that the table does not use any more, when they are many.
void give_back_idle_pages() {
  constexpr std::size_t kWorthIt = 1U << 20;
  const std::span<std::byte> idle = recent_keys->idle_memory();
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t skipped = (page - reinterpret_cast<std::uintptr_t>(idle.data()) % page) % page;
  const std::uint64_t touched_end = recent_keys->figures().size_bytes_used;
  if (touched_end + kWorthIt > shared->touched_bytes_high || idle.size() < skipped + page) return;
  // Failure only means that the pages stay; for anonymous shared memory it is what frees them.
  (void)madvise(idle.data() + skipped, (idle.size() - skipped) / page * page, MADV_REMOVE);
  shared->touched_bytes_high = touched_end;
}

/// Looks at four buckets for each key that was added, so that the table never grows by what is
/// past, and at no less than a part of it, so that what one large transaction left is gone soon.
void sweep_recent_keys(adjudicator::CommitId horizon, std::size_t coming_key_count) {
  constexpr std::size_t kBucketsPerKey = 4;
  constexpr std::size_t kSweepsPerRound = 16;
  const std::size_t keys = shared->keys_decided + coming_key_count;
  shared->keys_decided = 0;
  recent_keys->sweep(
      horizon, std::max(keys * kBucketsPerKey, recent_keys->bucket_count() / kSweepsPerRound));
  give_back_idle_pages();
}

}  // namespace

void install_shared_state() {
  share_memory({.name = "zorya commit counters",
                .size_bytes = sizeof(SharedState),
                .attach = attach_state,
                .lock_name = "zorya_adjudicator",
                .lock = &decision_lock});
  share_memory({.name = "zorya recent keys",
                .size_bytes = recent_keys_size_bytes(),
                .attach = attach_recent_keys});
}

CommitCounters& counters() { return shared->counters; }

adjudicator::Decision adjudicate(const adjudicator::WriteRecord& record) {
  // The horizon is taken before the lock: an older one only keeps more. So is the count, which may
  // be off by what others decide now.
  constexpr std::uint64_t kKeysBetweenSweeps = 64;
  const bool sweep = planted("sweep_too_early") ||
                     shared->keys_decided + record.changes.size() >= kKeysBetweenSweeps;
  adjudicator::CommitId horizon = sweep ? oldest_needed_commit_id() : 0;
  if (planted("sweep_too_early")) horizon = record.commit_id;

  LWLockAcquire(decision_lock, LW_EXCLUSIVE);
  if (sweep) sweep_recent_keys(horizon, record.changes.size());
  const adjudicator::Decision decision = adjudicator::decide(record, *recent_keys);
  stop_point("stop_within_decision");
  shared->keys_decided += record.changes.size();
  shared->touched_bytes_high =
      std::max(shared->touched_bytes_high, recent_keys->figures().size_bytes_used);
  LWLockRelease(decision_lock);
  return decision;
}

AdjudicatorState adjudicator_state() {
  LWLockAcquire(decision_lock, LW_SHARED);
  const AdjudicatorState state{recent_keys->figures(), recent_keys->counters()};
  LWLockRelease(decision_lock);
  return state;
}

}  // namespace zorya::query_processor
