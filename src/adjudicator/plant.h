#pragma once

namespace zorya::adjudicator {

/// Faults that the simulation switches on to see that it finds them.
enum class Fault {
  kNone,
  kSkipWriteKey,         // a written key is neither asked for nor remembered
  kSkipMark,             // a mark is neither asked for nor remembered
  kOneOrderOnly,         // the conflict table is read for the earlier one's class alone
  kForgetSharer,         // of the shared classes only the last commit is kept
  kSweepTooEarly,        // keys go that a live snapshot needs
  kIgnoreWholeCommits,   // commits known as a whole conflict with nobody
  kHashWithoutEquality,  // keys are hashed by their bytes: 1.0 is not 1.00
  kForgetKeyUpdate,      // a non-key update takes the place of the key update before it
  kLosersAreRemembered,  // a refused record leaves its keys behind
  kIgnoreCatalogue,      // a record made under another catalogue passes
};

/// The fault that is switched on. Only in the copy of the room that is compiled for the simulation;
/// in the shipped one it is constant and costs nothing.
#ifdef ZORYA_PLANT
inline Fault planted_fault = Fault::kNone;
inline bool planted(Fault fault) { return planted_fault == fault; }
#else
constexpr bool planted(Fault) { return false; }
#endif

}  // namespace zorya::adjudicator
