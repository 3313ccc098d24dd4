// sys.gate_rules(): the tables as rows, for docs/sql.md and its test.
#include "query_processor/gate/rules.h"
#include "query_processor/gate/settings.h"

extern "C" {
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
}

namespace zorya::query_processor::gate {
namespace {

/// One row; texts may be null.
struct Line {
  const char* area;
  const char* sql;
  const char* answer;
  int sqlstate;  // 0: none
  const char* message;
  Source source;
};

void put(ReturnSetInfo* out, const Line& line) {
  const char source[] = {static_cast<char>(line.source), '\0'};
  const char* texts[] = {
      line.area,    line.sql,
      line.answer,  line.sqlstate != 0 ? unpack_sql_state(line.sqlstate) : nullptr,
      line.message, source};
  constexpr int kCount = std::size(texts);
  Datum values[kCount] = {};
  bool nulls[kCount] = {};
  for (int i = 0; i < kCount; ++i) {
    nulls[i] = texts[i] == nullptr;
    if (!nulls[i]) values[i] = CStringGetTextDatum(texts[i]);
  }
  tuplestore_putvalues(out->setResult, out->setDesc, values, nulls);
}

const char* word(Answer answer) {
  switch (answer) {
    case Answer::kTaken:
    case Answer::kTakenDdl:
      return "taken";
    case Answer::kRefused:
      return "refused";
    case Answer::kNotYet:
      return "not yet";
  }
  return "refused";
}

bool is_taken(Answer answer) { return answer == Answer::kTaken || answer == Answer::kTakenDdl; }

void put_statements(ReturnSetInfo* out) {
  for (const StatementRule& rule : statement_rules()) {
    const char* text =
        rule.text != nullptr ? rule.text : psprintf("unsupported statement: %s", rule.node);
    const bool taken = is_taken(rule.answer);
    put(out, {"statement", rule.sql, word(rule.answer), taken ? 0 : ERRCODE_FEATURE_NOT_SUPPORTED,
              taken ? nullptr : text, rule.source});
  }
  for (const AlterTableRule& rule : alter_table_rules()) {
    const bool taken = is_taken(rule.answer);
    put(out, {"ALTER TABLE", rule.sql, word(rule.answer), taken ? 0 : ERRCODE_FEATURE_NOT_SUPPORTED,
              rule.text, rule.source});
  }
}

void put_objects(ReturnSetInfo* out) {
  static constexpr struct {
    Verb verb;
    const char* word;
  } kVerbs[] = {{kDrop, "DROP"},
                {kRename, "RENAME"},
                {kComment, "COMMENT"},
                {kGrant, "GRANT"},
                {kOwner, "OWNER TO"},
                {kSetSchema, "SET SCHEMA"},
                {kDefaultPrivileges, "ALTER DEFAULT PRIVILEGES"}};
  for (const ObjectRule& rule : object_rules()) {
    for (const auto& verb : kVerbs) {
      if ((rule.verbs & verb.verb) != 0)
        put(out, {verb.word, rule.sql, "taken", 0, nullptr, Source::kDocumented});
    }
  }
}

/// With the limit where the text names it; of two numbers the second is the limit.
const char* limit_text(const LimitRule& rule) {
  if (strstr(rule.text, "%s") != nullptr) return psprintf(rule.text, rule.limit, "text");
  const char* first = strstr(rule.text, "%d");
  if (first != nullptr && strstr(first + 1, "%d") != nullptr)
    return psprintf(rule.text, rule.limit + 1, rule.limit);
  return psprintf(rule.text, rule.limit);
}

void put_rest(ReturnSetInfo* out) {
  for (int i = 0; i < static_cast<int>(Clause::kCount); ++i) {
    const ClauseRule& rule = clause_rule(static_cast<Clause>(i));
    put(out, {rule.area, rule.sql, "refused", rule.sqlstate, rule.text, rule.source});
  }
  for (const TypeRule& rule : type_rules()) {
    put(out, {"column type", rule.sql, rule.in_key ? "taken" : "taken, not in a key", 0, nullptr,
              Source::kDocumented});
  }
  for (int i = 0; i < static_cast<int>(Limit::kCount); ++i) {
    const LimitRule& rule = limit_rule(static_cast<Limit>(i));
    put(out, {"limit", rule.what, psprintf("%d", rule.limit), rule.sqlstate, limit_text(rule),
              rule.source});
  }
  for (const std::string_view name : kSettableParameters) {
    put(out, {"SET", pstrdup(name.data()), "taken", 0, nullptr, Source::kRecorded});
  }
  for (const std::string_view name : kSettableSpecialParameters) {
    put(out, {"SET", pstrdup(name.data()), "taken", 0, nullptr, Source::kRecorded});
  }
}

}  // namespace
}  // namespace zorya::query_processor::gate

ZORYA_SQL_FUNCTION(zorya_gate_rules) {
  using namespace zorya::query_processor::gate;
  InitMaterializedSRF(fcinfo, 0);
  auto* out = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  put_statements(out);
  put_objects(out);
  put_rest(out);
  return Datum{0};
}
