// Which statements are taken: the table, and the checks of those that are no schema change.
#include "query_processor/gate/async_mark.h"
#include "query_processor/gate/checks.h"
#include "query_processor/gate/settings.h"

extern "C" {
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/defrem.h"
#include "nodes/value.h"
#include "utils/errcodes.h"
#include "utils/lsyscache.h"
}

namespace zorya::query_processor::gate {
namespace {

constexpr Answer kTaken = Answer::kTaken;
constexpr Answer kDdl = Answer::kTakenDdl;
constexpr Answer kRefused = Answer::kRefused;
constexpr Answer kNotYet = Answer::kNotYet;
constexpr Source kR = Source::kRecorded;
constexpr Source kD = Source::kDocumented;
constexpr Source kS = Source::kGrammar;
constexpr Source kI = Source::kInferred;

// The frequent ones first: the table is searched from its head.
constexpr StatementRule kStatements[] = {
    {T_TransactionStmt, "Transaction", "BEGIN, COMMIT, ROLLBACK", kTaken, check_transaction,
     nullptr, kR},
    {T_VariableSetStmt, "VariableSet", "SET, RESET", kTaken, check_set, nullptr, kR},
    {T_VariableShowStmt, "VariableShow", "SHOW", kTaken, check_show, nullptr, kR},
    {T_CopyStmt, "Copy", "COPY FROM STDIN, COPY TO STDOUT", kTaken, check_copy, nullptr, kS},
    {T_ExplainStmt, "Explain", "EXPLAIN", kTaken, check_explain, nullptr, kD},
    {T_CallStmt, "Call", "CALL", kTaken, check_call, nullptr, kR},
    {T_ConstraintsSetStmt, "ConstraintsSet", "SET CONSTRAINTS", kTaken, nullptr, nullptr, kD},
    {T_DeallocateStmt, "Deallocate", "DEALLOCATE ALL", kTaken, check_deallocate, nullptr, kS},
    {T_VacuumStmt, "Vacuum", "ANALYZE table", kTaken, check_vacuum, nullptr, kR},

    {T_CreateStmt, "Create", "CREATE TABLE", kDdl, check_create_table, nullptr, kD},
    {T_AlterTableStmt, "AlterTable", "ALTER TABLE", kDdl, check_alter_table, nullptr, kD},
    {T_IndexStmt, "Index", "CREATE [UNIQUE] INDEX ASYNC", kDdl, check_create_index, nullptr, kR},
    {T_DropStmt, "Drop", "DROP", kDdl, check_drop, nullptr, kD},
    {T_RenameStmt, "Rename", "ALTER ... RENAME", kDdl, check_rename, nullptr, kD},
    {T_CreateSchemaStmt, "CreateSchema", "CREATE SCHEMA", kDdl, check_create_schema, nullptr, kD},
    {T_CreateSeqStmt, "CreateSeq", "CREATE SEQUENCE", kDdl, check_create_sequence, nullptr, kD},
    {T_AlterSeqStmt, "AlterSeq", "ALTER SEQUENCE", kDdl, check_alter_sequence, nullptr, kD},
    {T_CreateDomainStmt, "CreateDomain", "CREATE DOMAIN", kDdl, check_create_domain, nullptr, kD},
    {T_AlterDomainStmt, "AlterDomain", "ALTER DOMAIN", kDdl, check_alter_domain, nullptr, kD},
    {T_ViewStmt, "View", "CREATE [OR REPLACE] VIEW", kDdl, check_create_view, nullptr, kD},
    {T_CreateFunctionStmt, "CreateFunction", "CREATE FUNCTION ... LANGUAGE sql", kDdl,
     check_create_function, nullptr, kD},
    {T_CommentStmt, "Comment", "COMMENT ON", kDdl, check_comment, nullptr, kD},
    {T_GrantStmt, "Grant", "GRANT, REVOKE", kDdl, check_grant, nullptr, kD},
    {T_AlterDefaultPrivilegesStmt, "AlterDefaultPrivileges", "ALTER DEFAULT PRIVILEGES", kDdl,
     check_default_privileges, nullptr, kD},
    {T_AlterOwnerStmt, "AlterOwner", "ALTER ... OWNER TO", kDdl, check_owner, nullptr, kD},
    {T_AlterObjectSchemaStmt, "AlterObjectSchema", "ALTER ... SET SCHEMA", kDdl, check_set_schema,
     nullptr, kD},
    {T_CreateStatsStmt, "CreateStats", "CREATE STATISTICS", kDdl, check_create_statistics, nullptr,
     kD},
    {T_AlterStatsStmt, "AlterStats", "ALTER STATISTICS", kDdl, check_alter_statistics, nullptr, kD},

    {T_CreateRoleStmt, "CreateRole", "CREATE ROLE, USER", kNotYet, nullptr,
     "CREATE ROLE is not supported yet", kI},
    {T_AlterRoleStmt, "AlterRole", "ALTER ROLE, USER", kNotYet, nullptr,
     "ALTER ROLE is not supported yet", kI},
    {T_AlterRoleSetStmt, "AlterRoleSet", "ALTER ROLE ... SET", kNotYet, nullptr,
     "ALTER ROLE SET is not supported yet", kI},
    {T_DropRoleStmt, "DropRole", "DROP ROLE, USER, GROUP", kNotYet, nullptr,
     "DROP ROLE is not supported yet", kI},
    {T_GrantRoleStmt, "GrantRole", "GRANT role TO role", kNotYet, nullptr,
     "GRANT of a role is not supported yet", kI},

    {T_TruncateStmt, "Truncate", "TRUNCATE", kRefused, nullptr, nullptr, kR},
    {T_CreateExtensionStmt, "CreateExtension", "CREATE EXTENSION", kRefused, nullptr, nullptr, kR},
    {T_CreatedbStmt, "Createdb", "CREATE DATABASE", kRefused, nullptr, nullptr, kR},
    {T_CreateTableSpaceStmt, "CreateTableSpace", "CREATE TABLESPACE", kRefused, nullptr, nullptr,
     kR},
    {T_CreateForeignTableStmt, "CreateForeignTable", "CREATE FOREIGN TABLE", kRefused, nullptr,
     nullptr, kR},
    {T_CreateTableAsStmt, "CreateTableAs", "CREATE TABLE AS, CREATE MATERIALIZED VIEW, SELECT INTO",
     kRefused, nullptr, nullptr, kR},
    {T_CompositeTypeStmt, "CompositeType", "CREATE TYPE AS (..)", kRefused, nullptr, nullptr, kR},
    {T_CreateRangeStmt, "CreateRange", "CREATE TYPE AS RANGE", kRefused, nullptr, nullptr, kR},
    {T_CreateEnumStmt, "CreateEnum", "CREATE TYPE AS ENUM", kRefused, nullptr,
     "CREATE TYPE not supported", kR},
    {T_AlterEnumStmt, "AlterEnum", "ALTER TYPE ADD VALUE", kRefused, nullptr,
     "ALTER TYPE not supported", kR},
    {T_AlterTypeStmt, "AlterType", "ALTER TYPE SET", kRefused, nullptr, "ALTER TYPE not supported",
     kI},
    {T_CreateTrigStmt, "CreateTrig", "CREATE TRIGGER", kRefused, nullptr,
     "CREATE TRIGGER not supported", kR},
    {T_AlterSystemStmt, "AlterSystem", "ALTER SYSTEM", kRefused, nullptr, nullptr, kR},
    {T_LockStmt, "Lock", "LOCK TABLE", kRefused, nullptr, nullptr, kR},
    {T_ListenStmt, "Listen", "LISTEN", kRefused, nullptr, nullptr, kR},
    {T_NotifyStmt, "Notify", "NOTIFY", kRefused, nullptr, nullptr, kR},
    {T_UnlistenStmt, "Unlisten", "UNLISTEN", kRefused, nullptr, nullptr, kR},
    {T_DeclareCursorStmt, "DeclareCursor", "DECLARE CURSOR", kRefused, nullptr, nullptr, kR},
    {T_FetchStmt, "Fetch", "FETCH, MOVE", kRefused, nullptr, nullptr, kI},
    {T_ClosePortalStmt, "ClosePortal", "CLOSE", kRefused, nullptr, nullptr, kI},
    {T_DefineStmt, "Define", "CREATE AGGREGATE, OPERATOR, TYPE, COLLATION, TEXT SEARCH", kRefused,
     check_define, nullptr, kI},
    {T_PrepareStmt, "Prepare", "PREPARE", kRefused, nullptr, nullptr, kS},
    {T_ExecuteStmt, "Execute", "EXECUTE", kRefused, nullptr, nullptr, kS},
    {T_DiscardStmt, "Discard", "DISCARD", kRefused, nullptr, nullptr, kS},
    {T_LoadStmt, "Load", "LOAD", kRefused, nullptr, nullptr, kS},
    {T_DoStmt, "Do", "DO", kRefused, nullptr, nullptr, kD},
    {T_ReindexStmt, "Reindex", "REINDEX", kRefused, nullptr, nullptr, kS},
    {T_ClusterStmt, "Cluster", "CLUSTER", kRefused, nullptr, nullptr, kS},
    {T_CheckPointStmt, "CheckPoint", "CHECKPOINT", kRefused, nullptr, nullptr, kS},
    {T_RuleStmt, "Rule", "CREATE RULE", kRefused, nullptr, nullptr, kI},
    {T_CreatePLangStmt, "CreatePLang", "CREATE LANGUAGE", kRefused, nullptr, nullptr, kI},
    {T_AlterFunctionStmt, "AlterFunction", "ALTER FUNCTION with properties", kRefused, nullptr,
     nullptr, kS},
    {T_DropdbStmt, "Dropdb", "DROP DATABASE", kRefused, nullptr, nullptr, kI},
    {T_AlterDatabaseStmt, "AlterDatabase", "ALTER DATABASE", kRefused, nullptr, nullptr, kI},
    {T_AlterDatabaseSetStmt, "AlterDatabaseSet", "ALTER DATABASE SET", kRefused, nullptr, nullptr,
     kI},
    {T_AlterDatabaseRefreshCollStmt, "AlterDatabaseRefreshColl", "ALTER DATABASE REFRESH COLLATION",
     kRefused, nullptr, nullptr, kI},
    {T_CreateConversionStmt, "CreateConversion", "CREATE CONVERSION", kRefused, nullptr, nullptr,
     kI},
    {T_CreateCastStmt, "CreateCast", "CREATE CAST", kRefused, nullptr, nullptr, kI},
    {T_CreateOpClassStmt, "CreateOpClass", "CREATE OPERATOR CLASS", kRefused, nullptr, nullptr, kI},
    {T_CreateOpFamilyStmt, "CreateOpFamily", "CREATE OPERATOR FAMILY", kRefused, nullptr, nullptr,
     kI},
    {T_AlterOpFamilyStmt, "AlterOpFamily", "ALTER OPERATOR FAMILY", kRefused, nullptr, nullptr, kI},
    {T_AlterOperatorStmt, "AlterOperator", "ALTER OPERATOR", kRefused, nullptr, nullptr, kI},
    {T_AlterObjectDependsStmt, "AlterObjectDepends", "ALTER ... DEPENDS ON EXTENSION", kRefused,
     nullptr, nullptr, kI},
    {T_DropTableSpaceStmt, "DropTableSpace", "DROP TABLESPACE", kRefused, nullptr, nullptr, kI},
    {T_AlterTableSpaceOptionsStmt, "AlterTableSpaceOptions", "ALTER TABLESPACE", kRefused, nullptr,
     nullptr, kI},
    {T_AlterTableMoveAllStmt, "AlterTableMoveAll", "ALTER TABLE ALL IN TABLESPACE", kRefused,
     nullptr, nullptr, kI},
    {T_DropOwnedStmt, "DropOwned", "DROP OWNED", kRefused, nullptr, nullptr, kI},
    {T_ReassignOwnedStmt, "ReassignOwned", "REASSIGN OWNED", kRefused, nullptr, nullptr, kI},
    {T_AlterTSDictionaryStmt, "AlterTSDictionary", "ALTER TEXT SEARCH DICTIONARY", kRefused,
     nullptr, nullptr, kI},
    {T_AlterTSConfigurationStmt, "AlterTSConfiguration", "ALTER TEXT SEARCH CONFIGURATION",
     kRefused, nullptr, nullptr, kI},
    {T_CreateFdwStmt, "CreateFdw", "CREATE FOREIGN DATA WRAPPER", kRefused, nullptr, nullptr, kI},
    {T_AlterFdwStmt, "AlterFdw", "ALTER FOREIGN DATA WRAPPER", kRefused, nullptr, nullptr, kI},
    {T_CreateForeignServerStmt, "CreateForeignServer", "CREATE SERVER", kRefused, nullptr, nullptr,
     kS},
    {T_AlterForeignServerStmt, "AlterForeignServer", "ALTER SERVER", kRefused, nullptr, nullptr,
     kI},
    {T_CreateUserMappingStmt, "CreateUserMapping", "CREATE USER MAPPING", kRefused, nullptr,
     nullptr, kI},
    {T_AlterUserMappingStmt, "AlterUserMapping", "ALTER USER MAPPING", kRefused, nullptr, nullptr,
     kI},
    {T_DropUserMappingStmt, "DropUserMapping", "DROP USER MAPPING", kRefused, nullptr, nullptr, kI},
    {T_ImportForeignSchemaStmt, "ImportForeignSchema", "IMPORT FOREIGN SCHEMA", kRefused, nullptr,
     nullptr, kI},
    {T_SecLabelStmt, "SecLabel", "SECURITY LABEL", kRefused, nullptr, nullptr, kI},
    {T_AlterExtensionStmt, "AlterExtension", "ALTER EXTENSION UPDATE", kRefused, nullptr, nullptr,
     kI},
    {T_AlterExtensionContentsStmt, "AlterExtensionContents", "ALTER EXTENSION ADD, DROP", kRefused,
     nullptr, nullptr, kI},
    {T_CreateEventTrigStmt, "CreateEventTrig", "CREATE EVENT TRIGGER", kRefused, nullptr, nullptr,
     kI},
    {T_AlterEventTrigStmt, "AlterEventTrig", "ALTER EVENT TRIGGER", kRefused, nullptr, nullptr, kI},
    {T_RefreshMatViewStmt, "RefreshMatView", "REFRESH MATERIALIZED VIEW", kRefused, nullptr,
     nullptr, kI},
    {T_CreatePolicyStmt, "CreatePolicy", "CREATE POLICY", kRefused, nullptr, nullptr, kS},
    {T_AlterPolicyStmt, "AlterPolicy", "ALTER POLICY", kRefused, nullptr, nullptr, kS},
    {T_CreateTransformStmt, "CreateTransform", "CREATE TRANSFORM", kRefused, nullptr, nullptr, kI},
    {T_CreateAmStmt, "CreateAm", "CREATE ACCESS METHOD", kRefused, nullptr, nullptr, kI},
    {T_CreatePublicationStmt, "CreatePublication", "CREATE PUBLICATION", kRefused, nullptr, nullptr,
     kI},
    {T_AlterPublicationStmt, "AlterPublication", "ALTER PUBLICATION", kRefused, nullptr, nullptr,
     kI},
    {T_CreateSubscriptionStmt, "CreateSubscription", "CREATE SUBSCRIPTION", kRefused, nullptr,
     nullptr, kI},
    {T_AlterSubscriptionStmt, "AlterSubscription", "ALTER SUBSCRIPTION", kRefused, nullptr, nullptr,
     kI},
    {T_DropSubscriptionStmt, "DropSubscription", "DROP SUBSCRIPTION", kRefused, nullptr, nullptr,
     kI},
    {T_AlterCollationStmt, "AlterCollation", "ALTER COLLATION", kRefused, nullptr, nullptr, kI},
};

const char* transaction_word(TransactionStmtKind kind) {
  switch (kind) {
    case TRANS_STMT_SAVEPOINT:
      return "SAVEPOINT";
    case TRANS_STMT_RELEASE:
      return "RELEASE";
    case TRANS_STMT_ROLLBACK_TO:
      return "ROLLBACK TO";
    case TRANS_STMT_PREPARE:
      return "PREPARE TRANSACTION";
    case TRANS_STMT_COMMIT_PREPARED:
      return "COMMIT PREPARED";
    case TRANS_STMT_ROLLBACK_PREPARED:
      return "ROLLBACK PREPARED";
    default:
      return nullptr;
  }
}

void check_isolation(const char* level) {
  if (pg_strcasecmp(level, "repeatable read") == 0) return;
  char* upper = pstrdup(level);
  for (char* c = upper; *c != '\0'; ++c)
    *c = static_cast<char>(pg_toupper(static_cast<unsigned char>(*c)));
  refuse_text(psprintf("Unsupported isolation level: %s", upper));
}

void check_transaction_modes(List* options) {
  ListCell* cell;
  foreach (cell, options) {
    const auto* item = lfirst_node(DefElem, cell);
    if (strcmp(item->defname, "transaction_isolation") == 0) {
      auto* level = castNode(A_Const, item->arg);
      check_isolation(strVal(&level->val));
    } else if (strcmp(item->defname, "transaction_read_only") != 0) {
      refuse(Clause::kTransactionMode);
    }
  }
}

}  // namespace

std::span<const StatementRule> statement_rules() { return kStatements; }

void check_transaction(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(TransactionStmt, node);
  if (const char* word = transaction_word(statement->kind)) {
    refuse_text(psprintf("unsupported transaction statement: %s", word));
  }
  if (statement->chain) refuse(Clause::kAndChain);
  if (statement->kind == TRANS_STMT_BEGIN || statement->kind == TRANS_STMT_START) {
    check_transaction_modes(statement->options);
  }
}

void check_setting(const char* name) {
  if (!is_settable(name)) {
    refuse_text(psprintf("setting configuration parameter \"%s\" not supported", name));
  }
}

void check_set(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(VariableSetStmt, node);
  if (statement->kind == VAR_RESET_ALL) return;
  if (statement->kind != VAR_SET_MULTI) return check_setting(statement->name);
  // SET TRANSACTION and SET SESSION CHARACTERISTICS: the level is looked at first, then the whole
  // is refused, but for a session that asks for what it has. (The argument of SET TRANSACTION
  // SNAPSHOT is a constant, no option.)
  bool is_level_only = true;
  ListCell* cell;
  foreach (cell, statement->args) {
    auto* argument = static_cast<Node*>(lfirst(cell));
    const bool is_level = IsA(argument, DefElem) && strcmp(castNode(DefElem, argument)->defname,
                                                           "transaction_isolation") == 0;
    if (is_level)
      check_isolation(strVal(&castNode(A_Const, castNode(DefElem, argument)->arg)->val));
    is_level_only = is_level_only && is_level;
  }
  if (is_level_only && strcmp(statement->name, "SESSION CHARACTERISTICS") == 0) return;
  refuse_text(psprintf("setting configuration parameter \"%s\" not supported", statement->name));
}

void check_show(Node* node, const StatementContext& /*context*/) {
  const char* name = castNode(VariableShowStmt, node)->name;
  if (pg_strcasecmp(name, "lc_collate") == 0) refuse(Clause::kShowCollation);
  if (pg_strcasecmp(name, "jit") == 0) refuse(Clause::kJit);
}

void check_copy(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(CopyStmt, node);
  if (statement->filename != nullptr || statement->is_program) refuse(Clause::kCopyFile);
  ListCell* cell;
  foreach (cell, statement->options) {
    if (strcmp(lfirst_node(DefElem, cell)->defname, "freeze") == 0) refuse(Clause::kCopyFreeze);
  }
}

void check_explain(Node* node, const StatementContext& context) {
  // The query is analysed by now, and a utility statement in it (CREATE TABLE AS, EXECUTE, DECLARE)
  // is refused as alone.
  Node* inner = castNode(ExplainStmt, node)->query;
  if (!IsA(inner, Query)) return;
  auto* query = reinterpret_cast<Query*>(inner);
  if (query->utilityStmt == nullptr) return;
  for (const StatementRule& rule : kStatements) {
    if (rule.tag != nodeTag(query->utilityStmt)) continue;
    if (rule.answer == kTaken && rule.check != nullptr) rule.check(query->utilityStmt, context);
    if (rule.answer == kTaken) return;
    refuse_text(rule.text != nullptr ? rule.text
                                     : psprintf("unsupported statement: %s", rule.node));
  }
  refuse_text("unsupported statement: Explain");
}

void check_vacuum(Node* node, const StatementContext& context) {
  const auto* statement = castNode(VacuumStmt, node);
  if (statement->is_vacuumcmd) refuse(Clause::kVacuum);
  if (statement->rels == NIL) refuse(Clause::kAnalyzeAll);
  if (!context.is_top_level || IsTransactionBlock()) refuse(Clause::kAnalyzeInTransaction);
}

void check_call(Node* node, const StatementContext& context) {
  const auto* statement = castNode(CallStmt, node);
  if (statement->funcexpr == nullptr) return;
  const char* name = get_func_name(statement->funcexpr->funcid);
  const bool waits =
      name != nullptr && strcmp(name, "wait_for_job") == 0 &&
      get_func_namespace(statement->funcexpr->funcid) == get_namespace_oid("sys", true);
  if (waits && (!context.is_top_level || IsTransactionBlock())) refuse(Clause::kWaitInTransaction);
}

void check_deallocate(Node* node, const StatementContext& /*context*/) {
  if (castNode(DeallocateStmt, node)->name != nullptr) refuse(Clause::kNamedDeallocate);
}

}  // namespace zorya::query_processor::gate
