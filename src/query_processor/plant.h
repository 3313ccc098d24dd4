#pragma once

namespace zorya::query_processor {

/// True if the fault of that name is planted (the environment's ZORYA_PLANT names it). Only in the
/// module built for the tests of the tests; in the shipped one it is constant false and costs
/// nothing.
#ifdef ZORYA_PLANT
bool planted(const char* fault);
#else
constexpr bool planted(const char*) { return false; }
#endif

/// A place where a backend is killed (SIGKILL, by itself) if it is planted: what must hold when a
/// COMMIT ends just there is then a test and not a race.
#ifdef ZORYA_PLANT
void stop_point(const char* name);
#else
constexpr void stop_point(const char*) {}
#endif

}  // namespace zorya::query_processor
