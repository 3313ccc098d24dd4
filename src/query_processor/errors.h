#pragma once

/// The errors that the transaction rules raise, with the service's SQLSTATE and text. None returns.
namespace zorya::query_processor {

/// 40001 OC000: the loser of a conflict, at COMMIT.
[[noreturn]] void raise_conflict();
/// 40001 OC001: the catalogue is newer than the transaction. Counted.
[[noreturn]] void raise_schema_changed();
/// The same for an error that is being raised: its words, and that it is counted.
inline constexpr const char* kSchemaChangedText =
    "schema has been updated by another transaction (OC001)";
void count_schema_changed();
/// The same, uncounted.
[[noreturn]] void raise_schema_error();
/// 0A000: a level other than REPEATABLE READ reached a table.
[[noreturn]] void raise_isolation_level(const char* level);
/// 54000: more rows changed (or marked) than a transaction may.
[[noreturn]] void raise_row_limit();
/// 54000: older than a transaction may be.
[[noreturn]] void raise_age_limit(long long age_s, int age_s_max);

}  // namespace zorya::query_processor
