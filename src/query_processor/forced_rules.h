#pragma once

#include "query_processor/forced_outcomes.h"

#include <array>
#include <cstdint>

/// The table of what is forced, between forced_outcomes.cc, which lets it happen, and
/// forced_functions.cc, by which SQL writes and reads it.
namespace zorya::query_processor::forced {

enum class Outcome : std::uint8_t {
  kConflict,       // 40001 OC000
  kSchemaChanged,  // 40001 OC001
  kTooOld,         // 54000
  kDropped,        // the connection, without a word
  kAged,           // zorya.age_transaction was called: counted only
};

struct Rule {
  std::int64_t id = 0;
  Oid relation = InvalidOid;  // any
  Outcome outcome = Outcome::kConflict;
  CommitPoint point = CommitPoint::kBeforeVerdict;
  std::int32_t asked = 0;
  std::int32_t fired = 0;
};
inline constexpr std::size_t kRulesMax = 64;

/// Adds `rule` under an id of its own and returns that; 0 if there is no room.
std::int64_t add_rule(Rule rule);
/// The rules in the order of their making; how many.
std::size_t copy_rules(std::array<Rule, kRulesMax>* out);
/// Forgets all; how many there were.
std::size_t remove_rules();
/// Counts a call of zorya.age_transaction.
void count_aged();

/// Until the schema is there (or is not to be had) no client is let in.
void mark_schema_done();
/// True if an earlier start made it: the worker does not run again when a server starts anew after
/// the end of a backend.
bool is_schema_made();

/// Registers the worker that makes schema zorya, or removes what an earlier start made.
void install_schema_worker();

}  // namespace zorya::query_processor::forced
