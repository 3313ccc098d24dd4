#include "pgwire/random_bytes.h"

#include "pgwire/messages.h"
#include "pgwire/startup.h"

#include <gtest/gtest.h>

#include <random>

namespace zorya::pgwire {
namespace {

/// Good inputs that mutation starts from.
std::vector<std::string> seeds() {
  std::vector<std::string> out = {
      print_startup({{"user", "admin"}, {"options", "-c search_path=a --x=\\ y"}}).substr(4),
      print_cancel_request({.process_id = 1, .secret = 2}).substr(4),
      "create unique index async i on t(v); select E'\\'', $a$ x $a$, \"q\"\"\" -- c\n /* /* */ */",
      "alter table async t validate constraint c; select U&'x' 'y'\n'z'"};
  std::string messages;
  append_error(messages, {.sqlstate = "40001", .message = "m", .detail = "d", .hint = "h"});
  append_parameter_status(messages, "a", "b");
  append_backend_key_data(messages, 1, 2);
  append_query(messages, "select 1");
  append_message(messages, 'Z', "I");
  out.push_back(messages);
  return out;
}

TEST(RandomBytes, NeverBreakAParser) {
  std::mt19937 random(20261126);
  const auto pick = [&random](std::size_t bound) { return random() % bound; };
  const auto starts = seeds();
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = starts[pick(starts.size())];
    for (std::size_t change = pick(8); change > 0 && !bytes.empty(); --change) {
      const std::size_t at = pick(bytes.size());
      switch (pick(4)) {
        case 0:
          bytes[at] = static_cast<char>(pick(256));
          break;
        case 1:
          bytes.erase(at, pick(8));
          break;
        case 2:
          bytes.insert(at, bytes.substr(pick(bytes.size()), pick(16)));
          break;
        default:
          bytes.insert(at, 1, "'\"$\\;/*-\0E"[pick(10)]);
          break;
      }
    }
    try_all_parsers(bytes);
  }
}

}  // namespace
}  // namespace zorya::pgwire
