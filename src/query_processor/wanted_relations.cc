#include "query_processor/wanted_relations.h"

#include "query_processor/shared_memory.h"

#include <atomic>

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"
}

namespace zorya::query_processor {
namespace {

constexpr std::uint32_t kWantedMax = 8;

// Layout 1. Written by who has the lane, read by anybody: a reader that is a moment late lets its
// statement in, or tells one OC001 for a change that has just passed, as it would have a moment
// before.
struct SharedWanted {
  std::atomic<std::uint32_t> count;
  std::atomic<int> owner;  // its process id
  std::atomic<Oid> relations[kWantedMax];
};

SharedWanted* shared = nullptr;
bool wants = false;      // this session
bool gives_way = false;  // this transaction

constexpr int kGiveWayMsMax = 40;
constexpr int kLookMs = 2;

void attach(void* memory, bool is_new) {
  shared = static_cast<SharedWanted*>(memory);
  if (is_new) new (shared) SharedWanted{};
}

void on_transaction(XactEvent event, void* /*argument*/) {
  if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT) stop_wanting();
}

/// Who is told OC001 would be back at once, and many of them would keep the processors from those
/// who have yet to let go. So it waits until the change has what it wants, without any lock.
void give_way(ResourceReleasePhase phase, bool is_commit, bool is_top_level, void* /*argument*/) {
  if (!gives_way || phase != RESOURCE_RELEASE_AFTER_LOCKS || !is_top_level) return;
  gives_way = false;
  if (is_commit) return;
  for (int ms = 0; ms < kGiveWayMsMax && shared->count.load(std::memory_order_acquire) > 0;
       ms += kLookMs)
    (void)WaitLatch(MyLatch, WL_TIMEOUT | WL_POSTMASTER_DEATH, kLookMs, PG_WAIT_EXTENSION);
}

}  // namespace

void install_wanted_relations() {
  share_memory({"zorya wanted relations", sizeof(SharedWanted), attach});
  RegisterXactCallback(on_transaction, nullptr);
  RegisterResourceReleaseCallback(give_way, nullptr);
}

void want_relation(Oid relation) {
  const std::uint32_t count = wants ? shared->count.load(std::memory_order_relaxed) : 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (shared->relations[i].load(std::memory_order_relaxed) == relation) return;
  }
  if (count == kWantedMax) return;
  shared->owner.store(MyProcPid, std::memory_order_relaxed);
  shared->relations[count].store(relation, std::memory_order_relaxed);
  shared->count.store(count + 1, std::memory_order_release);
  wants = true;
}

void stop_wanting() noexcept {
  if (!wants) return;
  shared->count.store(0, std::memory_order_release);
  wants = false;
}

bool is_wanted_by_other(const List* relations) noexcept {
  const std::uint32_t count = shared->count.load(std::memory_order_acquire);
  if (likely(count == 0)) return false;
  if (shared->owner.load(std::memory_order_relaxed) == MyProcPid) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (list_member_oid(relations, shared->relations[i].load(std::memory_order_relaxed))) {
      gives_way = true;
      return true;
    }
  }
  return false;
}

}  // namespace zorya::query_processor
