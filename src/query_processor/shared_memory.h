#pragma once

#include "query_processor/pg/server.h"

extern "C" {
#include "storage/lwlock.h"
}

/// Memory that all processes of the server share.
namespace zorya::query_processor {

/// A piece of it.
struct SharedPiece {
  const char* name;
  std::size_t size_bytes;
  /// Keeps where it lies, and lays it out if it is new. In the postmaster at its start, and again
  /// whenever the server starts anew after the end of a backend. Plain frame.
  void (*attach)(void* memory, bool is_new);
  /// Of the piece's one lock, and where that is kept; null: it has none.
  const char* lock_name = nullptr;
  LWLock** lock = nullptr;
};

/// Asks for the piece; it is there when the server takes clients in. Each once, in the postmaster.
void share_memory(const SharedPiece& piece);

}  // namespace zorya::query_processor
