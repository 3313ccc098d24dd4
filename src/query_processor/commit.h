#pragma once

/// What happens to the write set at COMMIT: the adjudicator's verdict, then the apply, inside
/// PostgreSQL's own commit.
namespace zorya::query_processor {

/// Registers for the ends of transactions and subtransactions. Once, in the postmaster.
void install_commit();

/// Before a statement that works on tables behind the access method's back (DDL): claims the keys,
/// writes the pending versions and goes on. The rows are our own from then on. Raises 40001 OC000
/// if the claim is refused.
void apply_early();

}  // namespace zorya::query_processor
