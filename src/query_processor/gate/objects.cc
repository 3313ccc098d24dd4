// Schemas, sequences, domains, views, functions, grants, and the verbs that take any object.
#include "query_processor/gate/checks.h"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "commands/defrem.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace zorya::query_processor::gate {
namespace {

constexpr int64 kBigCache = 65536;

bool is_system_schema(const char* name) {
  return name != nullptr && (strcmp(name, "public") == 0 || strcmp(name, "sys") == 0);
}

bool is_temporary_schema(const char* name) {
  return name != nullptr && strncmp(name, "pg_temp", 7) == 0;
}

void refuse_temporary(const RangeVar* relation, Clause clause) {
  if (relation->relpersistence != RELPERSISTENCE_PERMANENT ||
      is_temporary_schema(relation->schemaname)) {
    refuse(clause);
  }
}

[[noreturn]] void refuse_object(const char* verb) {
  refuse_text(psprintf("unsupported object in %s statement", verb));
}

DefElem* option_of(List* options, const char* name) {
  ListCell* cell;
  foreach (cell, options) {
    auto* option = lfirst_node(DefElem, cell);
    if (strcmp(option->defname, name) == 0) return option;
  }
  return nullptr;
}

void check_sequence_type(List* options) {
  const DefElem* as = option_of(options, "as");
  if (as == nullptr) return;
  const Oid type = check_column_type(castNode(TypeName, as->arg));
  if (OidIsValid(type) && type != INT8OID) {
    refuse_text(psprintf(clause_rule(Clause::kSequenceType).text, format_type_be(type)));
  }
}

/// The elements of CREATE SCHEMA are statements that the utility hook does not see as the client's.
void check_schema_element(Node* element, const StatementContext& context) {
  for (const StatementRule& rule : statement_rules()) {
    if (rule.tag != nodeTag(element)) continue;
    if (rule.answer == Answer::kTakenDdl) {
      if (rule.check != nullptr) rule.check(element, context);
      return;
    }
    refuse_text(rule.text != nullptr ? rule.text
                                     : psprintf("unsupported statement: %s", rule.node));
  }
  refuse_text("unsupported statement: CreateSchema");
}

/// What CREATE SCHEMA makes at once counts together.
void hold_element_limits(List* elements) {
  struct Kind {
    NodeTag tag;
    Limit limit;
    char relkind;
  };
  static constexpr Kind kKinds[] = {{T_CreateStmt, Limit::kTables, RELKIND_RELATION},
                                    {T_ViewStmt, Limit::kViews, RELKIND_VIEW},
                                    {T_CreateSeqStmt, Limit::kSequences, RELKIND_SEQUENCE}};
  for (const Kind& kind : kKinds) {
    int count = 0;
    ListCell* cell;
    foreach (cell, elements) {
      if (nodeTag(lfirst(cell)) == kind.tag) ++count;
    }
    if (count > 1) hold_relation_limit(kind.limit, kind.relkind, count);
  }
}

void check_language(List* options) {
  const DefElem* language = option_of(options, "language");
  if (language == nullptr) return;
  const char* name = strVal(language->arg);
  if (strcmp(name, "sql") != 0) {
    refuse_text(psprintf("CREATE FUNCTION with language %s not supported", name));
  }
}

bool names_temporary(List* qualified_name) {
  return list_length(qualified_name) > 1 && is_temporary_schema(strVal(linitial(qualified_name)));
}

/// Schemas whose contents nobody may grant on; of `public` it is only the schema itself.
bool is_catalogue_schema(const char* name) {
  return strcmp(name, "sys") == 0 || strcmp(name, "information_schema") == 0 ||
         strncmp(name, "pg_", 3) == 0;
}

void check_grant_schemas(const GrantStmt* statement) {
  const bool all_inside = statement->targtype == ACL_TARGET_ALL_IN_SCHEMA;
  if (!all_inside && statement->objtype != OBJECT_SCHEMA) return;
  ListCell* cell;
  foreach (cell, statement->objects) {
    const char* name = strVal(lfirst(cell));
    if (is_catalogue_schema(name) || (!all_inside && is_system_schema(name)))
      refuse(Clause::kSystemEntity);
  }
}

void check_grant_relations(const GrantStmt* statement) {
  const bool is_of_relations =
      statement->objtype == OBJECT_TABLE || statement->objtype == OBJECT_SEQUENCE;
  if (statement->targtype != ACL_TARGET_OBJECT || !is_of_relations) return;
  ListCell* cell;
  foreach (cell, statement->objects) {
    const Oid relation = RangeVarGetRelid(lfirst_node(RangeVar, cell), NoLock, true);
    const char* schema = get_namespace_name(get_rel_namespace(relation));
    if (schema != nullptr && is_catalogue_schema(schema)) refuse(Clause::kSystemEntity);
  }
}

void check_sequence_cache(List* options, bool is_identity, bool must_have_cache) {
  DefElem* cache = option_of(options, "cache");
  const bool fits =
      cache != nullptr && (defGetInt64(cache) == 1 || defGetInt64(cache) >= kBigCache);
  if (cache == nullptr ? must_have_cache : !fits) {
    refuse(is_identity ? Clause::kIdentityCache : Clause::kSequenceCache);
  }
}

}  // namespace

void check_sequence_options(List* options, bool is_identity, bool must_have_cache) {
  check_sequence_type(options);
  check_sequence_cache(options, is_identity, must_have_cache);
}

bool relation_exists(const RangeVar* relation) {
  return OidIsValid(get_relname_relid(relation->relname, RangeVarGetCreationNamespace(relation)));
}

bool creates_nothing(Node* node) {
  switch (nodeTag(node)) {
    case T_CreateStmt: {
      const auto* statement = castNode(CreateStmt, node);
      return statement->if_not_exists && relation_exists(statement->relation);
    }
    case T_CreateSeqStmt: {
      const auto* statement = castNode(CreateSeqStmt, node);
      return statement->if_not_exists && relation_exists(statement->sequence);
    }
    case T_CreateSchemaStmt: {
      const auto* statement = castNode(CreateSchemaStmt, node);
      return statement->if_not_exists && statement->schemaname != nullptr &&
             OidIsValid(get_namespace_oid(statement->schemaname, true));
    }
    default:
      return false;
  }
}

void check_create_schema(Node* node, const StatementContext& context) {
  const auto* statement = castNode(CreateSchemaStmt, node);
  ListCell* cell;
  foreach (cell, statement->schemaElts)
    check_schema_element(static_cast<Node*>(lfirst(cell)), context);
  if (creates_nothing(node)) return;
  hold_schema_limit();
  hold_element_limits(statement->schemaElts);
}

void check_create_sequence(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(CreateSeqStmt, node);
  refuse_temporary(statement->sequence, Clause::kTemporarySequence);
  check_sequence_options(statement->options, false, true);
  if (!creates_nothing(node)) hold_relation_limit(Limit::kSequences, RELKIND_SEQUENCE);
}

void check_alter_sequence(Node* node, const StatementContext& /*context*/) {
  check_sequence_options(castNode(AlterSeqStmt, node)->options, false, false);
}

void check_create_domain(Node* node, const StatementContext& /*context*/) {
  auto* statement = castNode(CreateDomainStmt, node);
  if (names_temporary(statement->domainname)) refuse(Clause::kTemporaryObject);
  check_collate(statement->collClause);
  check_column_type(statement->typeName);
}

void check_alter_domain(Node* node, const StatementContext& /*context*/) {
  const char subtype = castNode(AlterDomainStmt, node)->subtype;
  if (subtype != 'T' && subtype != 'N' && subtype != 'X') refuse(Clause::kAlterDomain);
}

void check_create_view(Node* node, const StatementContext& context) {
  const auto* statement = castNode(ViewStmt, node);
  refuse_temporary(statement->view, Clause::kTemporaryView);
  if (statement->options != NIL) refuse(Clause::kViewOptions);
  hold_limit(Limit::kViewBytes, static_cast<std::int64_t>(statement_text(context).size()));
  const bool is_new = !statement->replace || !relation_exists(statement->view);
  if (is_new) hold_relation_limit(Limit::kViews, RELKIND_VIEW);
}

void check_create_function(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(CreateFunctionStmt, node);
  if (statement->is_procedure) refuse(Clause::kProcedure);
  if (names_temporary(statement->funcname)) refuse(Clause::kTemporaryObject);
  check_language(statement->options);
  ListCell* cell;
  foreach (cell, statement->options) {
    const auto* option = lfirst_node(DefElem, cell);
    if (strcmp(option->defname, "window") == 0) refuse(Clause::kWindowFunction);
    if (strcmp(option->defname, "set") == 0) {
      const auto* set = castNode(VariableSetStmt, option->arg);
      if (set->kind == VAR_SET_MULTI) refuse(Clause::kSetTransaction);
      check_setting(set->name);
    }
  }
  if (statement->sql_body != nullptr) check_raw_body(statement->sql_body);
}

void check_define(Node* node, const StatementContext& /*context*/) {
  const ObjectType kind = castNode(DefineStmt, node)->kind;
  if (kind == OBJECT_TYPE) refuse_text("CREATE TYPE not supported");
  refuse_text("unsupported statement: Define");
}

void check_drop(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(DropStmt, node);
  if (!takes(kDrop, statement->removeType)) refuse_object("DROP");
  if (statement->concurrent) refuse(Clause::kDropIndexConcurrently);
  if (statement->removeType == OBJECT_TRIGGER && !statement->missing_ok)
    refuse(Clause::kDropTrigger);
  if (statement->removeType != OBJECT_SCHEMA) return;
  ListCell* cell;
  foreach (cell, statement->objects) {
    if (is_system_schema(strVal(lfirst(cell)))) refuse(Clause::kSystemEntity);
  }
}

void check_rename(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(RenameStmt, node);
  if (statement->renameType == OBJECT_ROLE) refuse_text("ALTER ROLE is not supported yet");
  if (!takes(kRename, statement->renameType)) refuse_object("RENAME");
  if (statement->renameType == OBJECT_COLUMN && statement->relationType != OBJECT_TABLE &&
      statement->relationType != OBJECT_VIEW) {
    refuse_object("RENAME");
  }
  if (statement->renameType == OBJECT_SCHEMA && is_system_schema(statement->subname))
    refuse(Clause::kSystemEntity);
}

void check_comment(Node* node, const StatementContext& /*context*/) {
  if (!takes(kComment, castNode(CommentStmt, node)->objtype)) refuse_object("COMMENT");
}

void check_grant(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(GrantStmt, node);
  const char* verb = statement->is_grant ? "GRANT" : "REVOKE";
  if (!takes(kGrant, statement->objtype)) refuse_object(verb);
  check_grant_schemas(statement);
  check_grant_relations(statement);
}

void check_default_privileges(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(AlterDefaultPrivilegesStmt, node);
  if (!takes(kDefaultPrivileges, statement->action->objtype))
    refuse_object("ALTER DEFAULT PRIVILEGES");
}

void check_owner(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(AlterOwnerStmt, node);
  if (!takes(kOwner, statement->objectType)) refuse_object("OWNER");
  if (statement->objectType == OBJECT_SCHEMA && is_system_schema(strVal(statement->object))) {
    refuse(Clause::kSystemEntity);
  }
}

void check_set_schema(Node* node, const StatementContext& /*context*/) {
  const auto* statement = castNode(AlterObjectSchemaStmt, node);
  if (!takes(kSetSchema, statement->objectType)) refuse_object("SET SCHEMA");
}

void check_alter_statistics(Node* node, const StatementContext& /*context*/) {
  const int target = castNode(AlterStatsStmt, node)->stxstattarget;
  const int most = limit_in_force(Limit::kStatisticsTarget);
  if (target <= most) return;
  const LimitRule& rule = limit_rule(Limit::kStatisticsTarget);
  ereport(ERROR,
          (errcode(rule.sqlstate), errmsg_internal("%s", psprintf(rule.text, target, most))));
}

}  // namespace zorya::query_processor::gate
