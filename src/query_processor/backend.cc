#include "query_processor/backend.h"

extern "C" {
#include "utils/memutils.h"
}

namespace zorya::query_processor {

Backend* backend = nullptr;

MemoryContext write_set_memory() {
  if (backend->memory == nullptr) {
    backend->memory =
        AllocSetContextCreate(TopTransactionContext, "zorya write set", ALLOCSET_SMALL_SIZES);
  }
  return backend->memory;
}

}  // namespace zorya::query_processor
