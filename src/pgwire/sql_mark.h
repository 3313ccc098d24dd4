#pragma once

#include <cstddef>
#include <span>
#include <string_view>

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

/// What the first statement of `sql` does to a transaction, or to prepared statements, as a whole.
/// kOther too for forms that the service does not take (COMMIT PREPARED, ROLLBACK TO, AND CHAIN).
enum class SqlWord : char { kOther, kCommit, kRollback, kDeallocate };
SqlWord first_word(std::string_view sql);
/// It ends a transaction block.
inline bool ends_block(SqlWord word) {
  return word == SqlWord::kCommit || word == SqlWord::kRollback;
}

/// True if the first statement of `sql` is BEGIN or START TRANSACTION, in any form.
bool begins_block(std::string_view sql);

/// True if something follows the first statement of `sql`.
bool is_batch(std::string_view sql);

}  // namespace zorya::pgwire
