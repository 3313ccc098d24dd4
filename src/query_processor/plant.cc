#include "query_processor/plant.h"

#ifdef ZORYA_PLANT

#include <cstdlib>
#include <cstring>

namespace zorya::query_processor {

bool planted(const char* fault) {
  static const char* const named = std::getenv("ZORYA_PLANT");
  return named != nullptr && std::strcmp(named, fault) == 0;
}

}  // namespace zorya::query_processor

#endif
