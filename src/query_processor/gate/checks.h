#pragma once

#include "query_processor/gate/rules.h"

/// The checks that statement_rules() names: each raises for the forms of its statement that the
/// service refuses and else returns. Some complete the statement (numeric without a size), so they
/// are given a copy of the tree. Plain frames.
namespace zorya::query_processor::gate {

void check_transaction(Node* node, const StatementContext& context);
void check_set(Node* node, const StatementContext& context);
void check_show(Node* node, const StatementContext& context);
void check_copy(Node* node, const StatementContext& context);
void check_explain(Node* node, const StatementContext& context);
void check_vacuum(Node* node, const StatementContext& context);
void check_call(Node* node, const StatementContext& context);
void check_deallocate(Node* node, const StatementContext& context);

void check_create_table(Node* node, const StatementContext& context);
void check_alter_table(Node* node, const StatementContext& context);
void check_create_index(Node* node, const StatementContext& context);

void check_create_schema(Node* node, const StatementContext& context);
void check_create_sequence(Node* node, const StatementContext& context);
void check_alter_sequence(Node* node, const StatementContext& context);
void check_create_domain(Node* node, const StatementContext& context);
void check_alter_domain(Node* node, const StatementContext& context);
void check_create_view(Node* node, const StatementContext& context);
void check_create_function(Node* node, const StatementContext& context);
void check_define(Node* node, const StatementContext& context);
void check_drop(Node* node, const StatementContext& context);
void check_rename(Node* node, const StatementContext& context);
void check_comment(Node* node, const StatementContext& context);
void check_grant(Node* node, const StatementContext& context);
void check_default_privileges(Node* node, const StatementContext& context);
void check_owner(Node* node, const StatementContext& context);
void check_set_schema(Node* node, const StatementContext& context);
void check_create_statistics(Node* node, const StatementContext& context);
void check_alter_statistics(Node* node, const StatementContext& context);

/// The statement's own text, of a message that may hold several.
std::string_view statement_text(const StatementContext& context);

/// Raises unless a session may set `name` (gate/settings.h).
void check_setting(const char* name);

/// Raises if `query` (analysed; all levels) holds a clause or a type that is refused.
void check_query(Query* query);
/// The same of a raw tree: the body of a SQL function in BEGIN ATOMIC is never seen by the analysis
/// hook.
void check_raw_body(Node* body);

/// Resolves `type`, refuses it as a column's if it is not listed or too wide, and completes it.
/// InvalidOid if it does not exist: PostgreSQL says so better.
Oid check_column_type(TypeName* type);
/// Refuses `type` as part of a key.
void check_key_type(Oid type);
/// Bytes that a key column declares: n of char(n) and varchar(n), else 0.
int declared_width(Oid type, int32 modifier);
/// The same of a column as CREATE TABLE writes it.
int declared_width(const TypeName* type);
/// Refuses COLLATE other than "C".
void check_collate(const CollateClause* collate);
/// Refuses sequence options; `is_identity` picks the words.
void check_sequence_options(List* options, bool is_identity, bool must_have_cache);

/// True if `node` is a CREATE ... IF NOT EXISTS of a table, sequence or schema that is there:
/// nothing will change. May raise what the statement itself would (no schema to create in).
bool creates_nothing(Node* node);

/// Raises if `added` more relations of `kind` (RELKIND_...) would be above their limit. `Limit`
/// names which.
void hold_relation_limit(Limit limit, char kind, int added = 1);
void hold_schema_limit();

}  // namespace zorya::query_processor::gate
