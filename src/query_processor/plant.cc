#include "query_processor/plant.h"

#ifdef ZORYA_PLANT

#include <dlfcn.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

namespace zorya::query_processor {

bool planted(const char* fault) {
  static const char* const named = std::getenv("ZORYA_PLANT");
  return named != nullptr && std::strcmp(named, fault) == 0;
}

void stop_point(const char* name) {
  if (planted(name)) ::kill(::getpid(), SIGKILL);
  // The layer that tests/crash preloads arms places while the server runs.
  using StopPoint = void (*)(const char*);
  static const auto preloaded =
      reinterpret_cast<StopPoint>(::dlsym(RTLD_DEFAULT, "zorya_stop_point"));
  if (preloaded != nullptr) preloaded(name);
}

}  // namespace zorya::query_processor

#endif
