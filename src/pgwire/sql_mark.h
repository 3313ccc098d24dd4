#pragma once

#include <cstddef>
#include <span>

namespace zorya::pgwire {

/// Marks the word ASYNC, which PostgreSQL's grammar lacks, by a comment of the same length, so that
/// every position in the text stays: CREATE [UNIQUE] INDEX ASYNC … and ALTER TABLE ASYNC name …
/// become "/*a*/". Only an unquoted word in that place of a statement is marked, never one in a
/// string, a quoted name, a comment or a dollar-quoted body. Directly after INDEX the word is
/// always the keyword; after ALTER TABLE only if another name follows it (a table may be called
/// async). standard_conforming_strings is taken to be on, as it is fixed so.
///
/// Returns the number of marks. The mark gives no right: who writes it by hand gets ASYNC.
std::size_t mark_async(std::span<char> sql);

}  // namespace zorya::pgwire
