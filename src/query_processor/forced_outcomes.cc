#include "query_processor/forced_outcomes.h"

#include "query_processor/commit_stats.h"
#include "query_processor/errors.h"
#include "query_processor/forced_rules.h"
#include "query_processor/settings.h"
#include "query_processor/shared_memory.h"

// GSSAPI's headers are another package; PostgreSQL keeps the layout of its structs without them.
#undef ENABLE_GSS

extern "C" {
#include "libpq/auth.h"
#include "libpq/libpq-be.h"
#include "libpq/libpq.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/wait_event.h"
}

#include <sys/socket.h>

#include <atomic>

namespace zorya::query_processor {

bool forced_outcomes_on = false;
int forced_age_s = 0;

namespace forced {
namespace {

struct Shared {
  std::atomic<bool> schema_done;
  std::int64_t next_id = 1;
  std::size_t rule_count = 0;
  std::array<Rule, kRulesMax> rules;
};

Shared* shared = nullptr;
LWLock* lock = nullptr;
ClientAuthentication_hook_type previous_authentication = nullptr;

/// The tables that this transaction changes or marks rows of; there are at most 1,000.
std::array<Oid, 1000> touched;
std::size_t touched_count = 0;

void attach(void* memory, bool is_new) {
  shared = static_cast<Shared*>(memory);
  if (!is_new) return;
  new (shared) Shared{};
  shared->schema_done = is_schema_made();
}

/// A client's first statement finds the schema.
void let_in(Port* port, int status) {
  constexpr int kTurns = 2000;
  constexpr long kTurnMs = 5;
  if (previous_authentication != nullptr) previous_authentication(port, status);
  for (int turn = 0; turn < kTurns && !shared->schema_done; ++turn) {
    CHECK_FOR_INTERRUPTS();
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kTurnMs,
                    PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
  }
}

bool is_touched(Oid relation) {
  if (relation == InvalidOid) return true;
  const Oid* const end = touched.data() + touched_count;
  return std::find(static_cast<const Oid*>(touched.data()), end, relation) != end;
}

/// The rule that comes true here, which counts at once; false if there is none.
template <typename Matches>
bool take(CommitPoint point, Matches matches, Rule* taken) {
  bool found = false;
  LWLockAcquire(lock, LW_EXCLUSIVE);
  for (std::size_t i = 0; i < shared->rule_count && !found; ++i) {
    Rule& rule = shared->rules[i];
    if (rule.outcome == Outcome::kAged || rule.point != point || rule.fired >= rule.asked ||
        !matches(rule.relation)) {
      continue;
    }
    ++rule.fired;
    *taken = rule;
    found = true;
  }
  LWLockRelease(lock);
  return found;
}

/// The notice by which the router learns it. As bytes, because it may have to go out when no error
/// can be raised any more.
void tell_router(int /*code*/, Datum /*argument*/) {
  constexpr char kNotice[] = "SNOTICE\0VNOTICE\0CZR009\0Mdrop this connection\0";
  (void)pq_putmessage('N', kNotice, sizeof kNotice);
  (void)pq_flush();
}

/// As a network that breaks. Before the flush the transaction is rolled back first, so that who
/// sees the connection end meets nothing of it.
void drop_connection(CommitPoint point) {
  if (MyProcPort == nullptr || whereToSendOutput != DestRemote) return;
  if (point == CommitPoint::kAfterFlush) {
    tell_router(0, 0);
    // PostgreSQL sees that the client is gone when it answers, and ends the session.
    (void)::shutdown(MyProcPort->sock, SHUT_RDWR);
    return;
  }
  on_proc_exit(tell_router, 0);
  whereToSendOutput = DestNone;
  ereport(FATAL,
          (errcode(ERRCODE_CONNECTION_FAILURE), errmsg("connection dropped, as a test asked for")));
}

}  // namespace

void note_touched(Oid relation) {
  if (touched_count > 0 && touched[touched_count - 1] == relation) return;
  if (touched_count == touched.size() || is_touched(relation)) return;
  touched[touched_count++] = relation;
}

namespace {

bool names(List* range_table, Oid relation) {
  ListCell* cell;
  foreach (cell, range_table) {
    const auto* entry = lfirst_node(RangeTblEntry, cell);
    if (entry->rtekind != RTE_RELATION) continue;
    if (relation == InvalidOid || entry->relid == relation) return true;
  }
  return false;
}

void let_happen(const Rule& rule, CommitPoint point) {
  switch (rule.outcome) {
    case Outcome::kConflict:
      count_conflict(rule.relation, ConflictKind::kForced);
      raise_conflict();
    case Outcome::kSchemaChanged:
      count_conflict(rule.relation, ConflictKind::kForced);
      raise_schema_error();
    case Outcome::kTooOld:
      raise_age_limit(settings().transaction_age_s_max + 1, settings().transaction_age_s_max);
    case Outcome::kDropped:
      return drop_connection(point);
    case Outcome::kAged:
      return;
  }
}

}  // namespace

void come_to(CommitPoint point) {
  Rule rule;
  if (take(point, is_touched, &rule)) let_happen(rule, point);
}

void come_to_statement(List* range_table) {
  Rule rule;
  const auto matches = [range_table](Oid relation) { return names(range_table, relation); };
  if (take(CommitPoint::kStatement, matches, &rule)) let_happen(rule, CommitPoint::kStatement);
}

std::int64_t add_rule(Rule rule) {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  rule.id = shared->rule_count < kRulesMax ? shared->next_id++ : 0;
  if (rule.id != 0) shared->rules[shared->rule_count++] = rule;
  LWLockRelease(lock);
  return rule.id;
}

std::size_t copy_rules(std::array<Rule, kRulesMax>* out) {
  LWLockAcquire(lock, LW_SHARED);
  *out = shared->rules;
  const std::size_t count = shared->rule_count;
  LWLockRelease(lock);
  return count;
}

std::size_t remove_rules() {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  const std::size_t count = shared->rule_count;
  shared->rule_count = 0;
  LWLockRelease(lock);
  return count;
}

void count_aged() {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  Rule* const end = shared->rules.data() + shared->rule_count;
  Rule* found = std::find_if(shared->rules.data(), end,
                             [](const Rule& rule) { return rule.outcome == Outcome::kAged; });
  if (found == end && shared->rule_count < kRulesMax) {
    *found = {.id = shared->next_id++, .outcome = Outcome::kAged};
    ++shared->rule_count;
  }
  if (found != shared->rules.data() + kRulesMax) {
    ++found->asked;
    ++found->fired;
  }
  LWLockRelease(lock);
}

void mark_schema_done() { shared->schema_done = true; }

}  // namespace forced

void forget_forced() {
  forced::touched_count = 0;
  forced_age_s = 0;
}

void install_forced_outcomes() {
  DefineCustomBoolVariable(
      "zorya.forced_outcomes", "Lets sessions force outcomes of commits, for tests.", nullptr,
      &forced_outcomes_on, false, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
  forced::install_schema_worker();
  if (!forced_outcomes_on) return;
  share_memory({.name = "zorya forced outcomes",
                .size_bytes = sizeof(forced::Shared),
                .attach = forced::attach,
                .lock_name = "zorya_forced_outcomes",
                .lock = &forced::lock});
  forced::previous_authentication = ClientAuthentication_hook;
  ClientAuthentication_hook = forced::let_in;
}

}  // namespace zorya::query_processor
