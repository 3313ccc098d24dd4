#pragma once

#include "query_processor/pg/server.h"

#include <span>

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
}

/// The rules of the gate as data: what a client session may say, and in which words the rest is
/// refused. What no table names is refused. Surface as of 2 October 2026 (the fact sheet's newest
/// source); recorded texts are quoted exactly.
///
/// Every function here is a plain frame (pg/boundary.h): it holds no object with a destructor and
/// raises by ereport.
namespace zorya::query_processor::gate {

/// Where a rule's text is from.
enum class Source : char {
  kRecorded = 'R',    // recorded from a live cluster
  kDocumented = 'D',  // AWS documentation
  kGrammar = 'S',     // sources of AWS's tools: that it is refused is known, the text follows the
                      // recorded pattern
  kInferred = '?',    // follows the recorded pattern; not seen
};

enum class Answer : char {
  kTaken,     // passes on to PostgreSQL
  kTakenDdl,  // passes on, as the one schema change of its transaction
  kRefused,
  kNotYet,  // DSQL takes it, we do not yet
};

/// What a check may ask of the statement besides its parse node.
struct StatementContext {
  const char* query;  // the whole text
  int location;       // of the statement in `query`, -1 for its start
  int length;         // in bytes, 0 for the rest
  bool is_top_level;  // false inside a function
};

/// One utility statement. Without `text` a refusal reads `unsupported statement: <node>`.
struct StatementRule {
  NodeTag tag;
  const char* node;  // the parse node's name without Stmt
  const char* sql;   // as users write it
  Answer answer;
  void (*check)(Node*, const StatementContext&);  // refuses forms of a taken statement; may be null
  const char* text;
  Source source;
};
std::span<const StatementRule> statement_rules();

/// One form of ALTER TABLE.
struct AlterTableRule {
  AlterTableType type;
  const char* sql;
  Answer answer;
  const char* text;
  Source source;
};
std::span<const AlterTableRule> alter_table_rules();

/// Which verbs take which kind of object.
enum Verb : unsigned {
  kDrop = 1U << 0U,
  kRename = 1U << 1U,
  kComment = 1U << 2U,
  kGrant = 1U << 3U,
  kOwner = 1U << 4U,
  kSetSchema = 1U << 5U,
  kDefaultPrivileges = 1U << 6U,
};
struct ObjectRule {
  ObjectType type;
  const char* sql;
  unsigned verbs;
};
std::span<const ObjectRule> object_rules();
bool takes(Verb verb, ObjectType type);

/// A type that a column, or a domain, may have.
struct TypeRule {
  Oid type;
  const char* sql;
  bool in_key;  // may be part of a primary key or an index key
};
std::span<const TypeRule> type_rules();

/// A named limit with its text, in which `%d` is the limit.
struct LimitRule {
  const char* what;
  const char* setting;  // of PostgreSQL, which can lower it
  int limit;
  int sqlstate;
  const char* text;
  Source source;
};
enum class Limit : std::uint8_t {
  kSchemas,
  kTables,
  kViews,
  kViewBytes,
  kSequences,
  kColumns,
  kIndexes,
  kKeyColumns,
  kKeyWidth,
  kStatistics,
  kStatisticsTarget,
  kKeyBytes,
  kColumnBytes,
  kRowBytes,
  kTransactionMib,
  kTransactionHardMib,
  kCharBytes,
  kVarcharBytes,
  kCount
};
const LimitRule& limit_rule(Limit limit);
/// What holds on this server: the limit, or less.
int limit_in_force(Limit limit);
/// Defines the settings. Once, at load.
void define_limit_settings();

/// A clause inside statements that are taken: what SELECT, CREATE TABLE, CREATE INDEX ... refuse.
struct ClauseRule {
  const char* area;
  const char* sql;
  int sqlstate;
  const char* text;
  Source source;
};
enum class Clause : std::uint8_t {
  kForShare,
  kTableSample,
  kMerge,
  kTemporaryTable,
  kUnloggedTable,
  kTemporaryView,
  kTemporarySequence,
  kTemporaryObject,
  kUsingMethod,
  kInherits,
  kPartition,
  kTableOf,
  kStorageParameters,
  kOnCommit,
  kTablespace,
  kCompression,
  kCollate,
  kLikeOption,
  kExclude,
  kDeferrableKey,
  kPrimaryKeyUsingIndex,
  kIdentityType,
  kIdentityCache,
  kSequenceCache,
  kSequenceType,
  kAddColumnWithConstraint,
  kAddConstraint,
  kDropKeyConstraint,
  kIndexConcurrently,
  kIndexMode,
  kIndexOrder,
  kIndexOpclass,
  kIndexUsing,
  kIndexCollate,
  kIndexOptions,
  kIndexTablespace,
  kDropIndexConcurrently,
  kProcedure,
  kWindowFunction,
  kViewOptions,
  kDropTrigger,
  kSystemEntity,
  kCopyFile,
  kCopyFreeze,
  kVacuum,
  kShowCollation,
  kJit,
  kAnalyzeAll,
  kAndChain,
  kTransactionMode,
  kSetTransaction,
  kSessionCharacteristics,
  kMultipleDdl,
  kDdlAndDml,
  kDdlInFunction,
  kNamedDeallocate,
  kWaitInTransaction,
  kAnalyzeInTransaction,
  kAlterDomain,
  kCount,
};
const ClauseRule& clause_rule(Clause clause);

/// Raises the clause's refusal.
[[noreturn]] void refuse(Clause clause);
/// Raises 0A000 with `message`.
[[noreturn]] void refuse_text(const char* message);
/// Raises the limit's error if `count` is above it. For texts with no more than one `%d`.
void hold_limit(Limit limit, std::int64_t count);

}  // namespace zorya::query_processor::gate
