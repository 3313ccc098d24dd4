#pragma once

#include <cstddef>
#include <string_view>

/// The mark of ASYNC. PostgreSQL's grammar has no such word, so the session router writes the
/// comment `/*a*/` of the same length in its place, directly after INDEX or TABLE. It is no secret:
/// who writes the comment himself says ASYNC.
namespace zorya::query_processor::gate {

inline constexpr std::string_view kAsyncMark = "/*a*/";

/// True if `statement` (one statement; white space and comments may come before) is CREATE [UNIQUE]
/// INDEX or ALTER TABLE and the mark stands between that and the next word. Reads no further than
/// that word; any bytes are fine.
bool has_async_mark(std::string_view statement);

/// True if the word USING stands before the first parenthesis of a CREATE INDEX: PostgreSQL's parse
/// tree does not tell an explicit `USING btree` from none.
bool names_index_method(std::string_view statement);

}  // namespace zorya::query_processor::gate
