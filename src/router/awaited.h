#pragma once

#include "pgwire/sql_mark.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace zorya::router {

/// What the backend has still to answer, in order. An error in extended messages makes it skip to
/// the next Sync. Pure.
class Awaited {
 public:
  enum class Kind : char {
    kExtended,       // one or more of Parse, Bind, Execute, Close
    kDescribe,       // RowDescription or NoData
    kDescribeAsync,  // of a statement that returns a job's id
    kSync,
    kQuery,
    kRefusedCall,  // a query that fails, in the place of a FunctionCall
    kOwnQuery,     // ours: the client hears nothing of it
    kOwnSync,
  };

  struct Entry {
    Kind kind = Kind::kExtended;
    pgwire::SqlWord word = pgwire::SqlWord::kOther;
    bool is_batch = false;          // a query of several statements
    bool may_commit = true;         // something could be committed by it; of a query or a Sync
    std::uint32_t parse_count = 0;  // Parse messages sent before its end, modulo 2^32
  };

  /// A Parse of a statement with a name (or without), to be remembered when it is answered.
  struct Parse {
    std::string name;
    std::string message;
    pgwire::SqlWord word = pgwire::SqlWord::kOther;
  };

  void add(Entry entry);
  /// One more extended message.
  void add_extended();
  void add_parse(Parse parse);

  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] const std::deque<Entry>& entries() const { return entries_; }
  /// The next message answers a query, not an extended message.
  [[nodiscard]] bool is_simple() const;
  [[nodiscard]] bool is_front(Kind kind) const {
    return !entries_.empty() && entries_.front().kind == kind;
  }
  /// Extended messages only, whose Sync has not come.
  [[nodiscard]] bool is_open() const;
  /// The last are extended messages, whose Sync has not come.
  [[nodiscard]] bool ends_open() const;
  /// How many times ReadyForQuery will come for the client.
  [[nodiscard]] std::size_t unit_count() const;
  /// Something that is awaited could commit something.
  [[nodiscard]] bool may_commit() const;
  [[nodiscard]] bool is_skipping() const { return skipping_; }
  void skip_to_sync() { skipping_ = true; }

  /// A RowDescription or NoData came: to which Describe does it belong? To none (kExtended or
  /// kQuery) if it is a simple query's.
  Kind described();
  /// ParseComplete came: the statement that exists now, if it was awaited.
  std::optional<Parse> parsed();
  /// ReadyForQuery came: everything up to the Sync or query that it answers is done. The kind of
  /// that.
  Kind ready();
  /// While a backend takes COPY data it ignores Sync, and libpq sends one ahead: those are answered
  /// by nothing.
  void copy_ended();
  void clear();

 private:
  std::deque<Entry> entries_;
  std::deque<Parse> parses_;
  std::uint32_t parses_sent_ = 0;
  bool skipping_ = false;  // the backend reads on to the next Sync
};

}  // namespace zorya::router
