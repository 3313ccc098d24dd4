#include "router/random_relay.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace zorya::router {
namespace {

using namespace std::string_literals;

/// A step with a message.
std::string said(int what, char type, const std::string& body) {
  return std::string(1, static_cast<char>(what)) + type + static_cast<char>(body.size()) + body;
}
std::string asked(char type, const std::string& body) { return said(2, type, body); }
std::string answered(char type, const std::string& body) { return said(6, type, body); }
std::string step(int what, int cut = 0) {
  return std::string(1, static_cast<char>(what | (cut << 4)));
}
constexpr int kReady = 10;
constexpr int kFail = 11;
constexpr int kCancel = 12;
constexpr int kLose = 13;

/// Good sessions that mutation starts from.
std::vector<std::string> sessions() {
  const std::string begin = asked('Q', "begin\0"s) + answered('C', "BEGIN\0"s) + step(kReady, 1);
  const std::string extended = asked('P', "s\0create index async i on t(v)\0\0\0"s) +
                               asked('B', "p\0s\0\0\0\0\0\0\0"s) + asked('D', "Pp\0"s) +
                               asked('E', "p\0\0\0\0\0"s);
  const std::string error = answered('E', "SERROR\0VERROR\0C40001\0Mx (OC001)\0\0"s);
  return {begin + asked('Q', "select 1\0"s) + answered('T', "\0\0"s) + answered('D', "\0\0"s) +
              error + step(kReady, 2) + asked('Q', "commit\0"s) + step(kLose) + asked('S', ""),
          begin + step(kFail) + error + step(kReady, 2) + asked('Q', "update t\0"s) +
              asked('Q', "commit\0"s) + answered('C', "ROLLBACK\0"s) + step(kReady),
          extended + asked('S', "") + answered('1', "") + answered('2', "") + answered('n', "") +
              answered('N', "SNOTICE\0VNOTICE\0CZR001\0Mjob\0\0"s) + answered('C', "CREATE\0"s) +
              step(kReady) + asked('C', "Ss\0"s) + asked('S', "") + answered('3', "") +
              step(kReady),
          begin + extended + asked('H', "") + answered('1', "") + step(kFail) + error +
              step(kReady, 2) + asked('S', "") + step(kLose) + begin,
          asked('Q', "copy t from stdin\0"s) + answered('G', "\0\0\0"s) + asked('d', "1\t2\n") +
              step(kFail, 1) + answered('E', "SERROR\0VERROR\0C57014\0Mx\0\0"s) + step(kReady),
          asked('Q', "alter table t\0"s) + answered('N', "SNOTICE\0CZR002\0Mx\0\0"s) +
              answered('S', "search_path\0a\0"s) + step(kCancel) + error + step(kReady) +
              asked('F', "x") + answered('E', "SERROR\0C42601\0Mx\0\0"s) + step(kReady),
          answered('E', "SFATAL\0VFATAL\0C57P01\0Mx\0\0"s) + step(kLose) + asked('X', "")};
}

TEST(RandomRelay, NothingThatIsSentBreaksIt) {
  std::mt19937 random(20261126);
  const auto pick = [&random](std::size_t bound) { return random() % bound; };
  const auto starts = sessions();
  std::size_t said = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string script = starts[pick(starts.size())] + starts[pick(starts.size())];
    for (std::size_t change = pick(6); change > 0 && !script.empty(); --change) {
      const std::size_t at = pick(script.size());
      switch (pick(4)) {
        case 0:
          script[at] = static_cast<char>(pick(256));
          break;
        case 1:
          script.erase(at, pick(8));
          break;
        case 2:
          script.insert(at, step(kFail + static_cast<int>(pick(3)), static_cast<int>(pick(16))));
          break;
        default:
          script.insert(at, script.substr(pick(script.size()), pick(40)));
          break;
      }
    }
    RandomRelay relay(script);
    relay.run();
    said += relay.said_bytes();
  }
  EXPECT_GT(said, 1'000'000u) << "sessions that end at once test nothing";
}

}  // namespace
}  // namespace zorya::router
