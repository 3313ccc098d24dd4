#pragma once

#include "base/check.h"
#include "pgwire/frame.h"
#include "pgwire/messages.h"
#include "pgwire/sql_mark.h"
#include "pgwire/startup.h"

#include <string>
#include <string_view>

// Test support: one entry for the fuzzer (tests/fuzz) and for the mutation test beside it.
namespace zorya::pgwire {

/// Shows the bytes to every parser of this room. What must hold of any bytes is checked: cutting
/// loses nothing, and marking keeps the length.
inline void try_all_parsers(std::string_view bytes) {
  struct Handler {
    static bool wants(char type) { return type >= 'A' && type <= 'P'; }
    static bool begin(char /*type*/) { return true; }
    void pass(std::string_view run) { all.append(run); }
    bool take(const Frame& frame) {
      all.append(frame.whole);
      (void)ErrorFields::parse(frame.body);
      (void)parse_parameter_status(frame.body);
      (void)parse_backend_key_data(frame.body);
      (void)parse_ready_for_query(frame.body);
      return true;
    }
    std::string all;
  };
  Handler handler;
  FrameCutter cutter(1 << 16, 1 << 12, 64);
  const std::size_t half = bytes.size() / 2;
  if (cutter.feed(bytes.substr(0, half), handler) == CutStatus::kOk &&
      cutter.feed(bytes.substr(half), handler) == CutStatus::kOk && cutter.at_boundary()) {
    CHECK(handler.all == bytes, "cutting lost or made bytes");
  }
  (void)parse_startup(bytes);
  (void)parse_options(bytes);
  (void)parse_data_row(bytes);
  (void)first_word(bytes);
  (void)is_batch(bytes);
  std::string sql(bytes);
  mark_async(sql);
  CHECK(sql.size() == bytes.size(), "marking changed the length");
}

}  // namespace zorya::pgwire
