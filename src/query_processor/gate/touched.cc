#include "query_processor/gate/touched.h"

extern "C" {
#include "catalog/namespace.h"
#include "nodes/makefuncs.h"
}

namespace zorya::query_processor::gate {
namespace {

List* with_relation(List* found, const RangeVar* name) {
  if (name == nullptr) return found;
  const Oid relation = RangeVarGetRelid(name, NoLock, true);
  return OidIsValid(relation) ? lappend_oid(found, relation) : found;
}

bool is_relation(ObjectType type) {
  switch (type) {
    case OBJECT_TABLE:
    case OBJECT_VIEW:
    case OBJECT_INDEX:
    case OBJECT_SEQUENCE:
      return true;
    default:
      return false;
  }
}

/// Names as DROP and COMMENT have them: lists of strings.
List* with_object(List* found, ObjectType type, Node* name) {
  if (!is_relation(type) || !IsA(name, List)) return found;
  return with_relation(found, makeRangeVarFromNameList(castNode(List, name)));
}

List* with_all(List* found, const List* names) {
  const ListCell* cell;
  foreach (cell, names) {
    if (IsA(lfirst(cell), RangeVar)) found = with_relation(found, lfirst_node(RangeVar, cell));
  }
  return found;
}

List* dropped(const DropStmt* statement) {
  List* found = NIL;
  const ListCell* cell;
  foreach (cell, statement->objects)
    found = with_object(found, statement->removeType, static_cast<Node*>(lfirst(cell)));
  return found;
}

List* analyzed(const VacuumStmt* statement) {
  List* found = NIL;
  const ListCell* cell;
  foreach (cell, statement->rels)
    found = with_relation(found, lfirst_node(VacuumRelation, cell)->relation);
  return found;
}

bool is_for_all(ObjectType type) {
  switch (type) {
    case OBJECT_SCHEMA:
    case OBJECT_FUNCTION:
    case OBJECT_ROUTINE:
    case OBJECT_DOMAIN:
    case OBJECT_ROLE:
      return true;
    default:
      return false;
  }
}

SchemaChangeKind kind_of(ObjectType type) {
  return is_for_all(type) ? SchemaChangeKind::kForAll : SchemaChangeKind::kOfRelations;
}

}  // namespace

List* touched_relations(Node* statement) {
  switch (nodeTag(statement)) {
    case T_AlterTableStmt:
      return with_relation(NIL, castNode(AlterTableStmt, statement)->relation);
    case T_IndexStmt:
      return with_relation(NIL, castNode(IndexStmt, statement)->relation);
    case T_RenameStmt:
      return with_relation(NIL, castNode(RenameStmt, statement)->relation);
    case T_AlterObjectSchemaStmt:
      return with_relation(NIL, castNode(AlterObjectSchemaStmt, statement)->relation);
    case T_AlterSeqStmt:
      return with_relation(NIL, castNode(AlterSeqStmt, statement)->sequence);
    case T_CopyStmt:
      return with_relation(NIL, castNode(CopyStmt, statement)->relation);
    case T_CreateStatsStmt:
      return with_all(NIL, castNode(CreateStatsStmt, statement)->relations);
    case T_GrantStmt:
      return with_all(NIL, castNode(GrantStmt, statement)->objects);
    case T_CommentStmt: {
      const auto* comment = castNode(CommentStmt, statement);
      return with_object(NIL, comment->objtype, comment->object);
    }
    case T_DropStmt:
      return dropped(castNode(DropStmt, statement));
    case T_VacuumStmt:
      return analyzed(castNode(VacuumStmt, statement));
    default:
      return NIL;
  }
}

SchemaChangeKind schema_change_kind(Node* statement) {
  switch (nodeTag(statement)) {
    case T_IndexStmt:
      return SchemaChangeKind::kOfIndexes;
    case T_CreateFunctionStmt:
      return castNode(CreateFunctionStmt, statement)->replace ? SchemaChangeKind::kForAll
                                                              : SchemaChangeKind::kOfRelations;
    case T_AlterDomainStmt:
    case T_CreateRoleStmt:
    case T_AlterRoleStmt:
    case T_AlterRoleSetStmt:
    case T_DropRoleStmt:
    case T_GrantRoleStmt:
      return SchemaChangeKind::kForAll;
    case T_GrantStmt:
      return castNode(GrantStmt, statement)->targtype == ACL_TARGET_OBJECT
                 ? kind_of(castNode(GrantStmt, statement)->objtype)
                 : SchemaChangeKind::kOfRelations;
    case T_DropStmt:
      return kind_of(castNode(DropStmt, statement)->removeType);
    case T_RenameStmt:
      return kind_of(castNode(RenameStmt, statement)->renameType);
    case T_AlterOwnerStmt:
      return kind_of(castNode(AlterOwnerStmt, statement)->objectType);
    case T_AlterObjectSchemaStmt:
      return kind_of(castNode(AlterObjectSchemaStmt, statement)->objectType);
    default:
      return SchemaChangeKind::kOfRelations;
  }
}

}  // namespace zorya::query_processor::gate
