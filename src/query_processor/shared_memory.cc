#include "query_processor/shared_memory.h"

#include "base/check.h"

#include <array>

extern "C" {
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
}

namespace zorya::query_processor {
namespace {

std::array<SharedPiece, 8> pieces;
std::size_t piece_count = 0;
shmem_request_hook_type previous_request = nullptr;
shmem_startup_hook_type previous_startup = nullptr;

void request() {
  if (previous_request != nullptr) previous_request();
  for (std::size_t i = 0; i < piece_count; ++i) {
    RequestAddinShmemSpace(MAXALIGN(pieces[i].size_bytes));
    if (pieces[i].lock != nullptr) RequestNamedLWLockTranche(pieces[i].lock_name, 1);
  }
}

void startup() {
  if (previous_startup != nullptr) previous_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  for (std::size_t i = 0; i < piece_count; ++i) {
    const SharedPiece& piece = pieces[i];
    bool found = false;
    void* memory = ShmemInitStruct(piece.name, piece.size_bytes, &found);
    piece.attach(memory, !found);
    if (piece.lock != nullptr) *piece.lock = &GetNamedLWLockTranche(piece.lock_name)->lock;
  }
  LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void share_memory(const SharedPiece& piece) {
  CHECK(piece_count < pieces.size(), "pieces of shared memory");
  pieces[piece_count++] = piece;
  if (piece_count > 1) return;
  previous_request = shmem_request_hook;
  shmem_request_hook = request;
  previous_startup = shmem_startup_hook;
  shmem_startup_hook = startup;
}

}  // namespace zorya::query_processor
