#include "pgwire/frame.h"

#include "pgwire/messages.h"

#include <gtest/gtest.h>

#include <vector>

namespace zorya::pgwire {
namespace {

/// Wants 'Q' and 'E'; writes down what it gets.
struct Recorder {
  static bool wants(char type) { return type == 'Q' || type == 'E'; }
  bool begin(char type) {
    begun += type;
    return type != '!';
  }
  void pass(std::string_view run) {
    ++runs;
    passed.append(run);
    all.append(run);
  }
  bool take(const Frame& frame) {
    taken.emplace_back(frame.type, frame.body);
    all.append(frame.whole);
    return frame.body != "stop";
  }
  int runs = 0;
  std::string begun;
  std::string passed;
  std::string all;
  std::vector<std::pair<char, std::string>> taken;
};

std::string stream() {
  std::string out;
  append_message(out, 'D', "row one");
  append_message(out, 'D', "");
  append_message(out, 'Q', "select 1");
  append_message(out, 'D', std::string(5000, 'x'));
  append_message(out, 'E', "");
  append_message(out, 'C', "done");
  return out;
}

TEST(Frame, CutsTheSameWhateverThePieces) {
  const std::string in = stream();
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{5},
                                  std::size_t{7}, std::size_t{64}, in.size()}) {
    FrameCutter cutter(1 << 20, 1 << 20);
    Recorder recorder;
    for (std::size_t at = 0; at < in.size(); at += piece) {
      ASSERT_EQ(cutter.feed(std::string_view(in).substr(at, piece), recorder), CutStatus::kOk);
    }
    EXPECT_EQ(recorder.all, in) << piece;
    EXPECT_EQ(recorder.begun, "DDDC");
    ASSERT_EQ(recorder.taken.size(), 2u);
    EXPECT_EQ(recorder.taken[0].second, "select 1");
    EXPECT_TRUE(cutter.at_boundary());
  }
}

TEST(Frame, HandsManyMessagesThroughInOneRun) {
  std::string in;
  for (int i = 0; i < 1000; ++i) append_message(in, 'D', "row");
  FrameCutter cutter(1 << 20, 1 << 20);
  Recorder recorder;
  ASSERT_EQ(cutter.feed(in, recorder), CutStatus::kOk);
  EXPECT_EQ(recorder.runs, 1);
}

TEST(Frame, ALargeMessageThatIsNotWantedIsNotKept) {
  std::string in;
  append_message(in, 'D', std::string(100'000, 'x'));
  FrameCutter cutter(1 << 20, 1000);
  Recorder recorder;
  ASSERT_EQ(cutter.feed(std::string_view(in).substr(0, 10), recorder), CutStatus::kOk);
  EXPECT_EQ(recorder.passed.size(), 10u);
  EXPECT_FALSE(cutter.at_boundary());
}

TEST(Frame, BadLengthsStopTheStream) {
  const auto status_of = [](std::string_view bytes, std::size_t piece) {
    FrameCutter cutter(1000, 100);
    Recorder recorder;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      const CutStatus status = cutter.feed(bytes.substr(at, piece), recorder);
      if (status != CutStatus::kOk) return status;
    }
    return CutStatus::kOk;
  };
  using namespace std::string_view_literals;
  for (const std::size_t piece : {1u, 100u}) {
    EXPECT_EQ(status_of("D\0\0\0\3"sv, piece), CutStatus::kBadLength);
    EXPECT_EQ(status_of("D\xff\xff\xff\xff"sv, piece), CutStatus::kBadLength);
    EXPECT_EQ(status_of("D\0\0\3\xe9"sv, piece), CutStatus::kBadLength);  // 1001
    EXPECT_EQ(status_of("D\0\0\3\xe8"sv, piece), CutStatus::kOk);         // 1000
    EXPECT_EQ(status_of("Q\0\0\0\x65"sv, piece), CutStatus::kBadLength);  // 101
    EXPECT_EQ(status_of("!\0\0\0\4"sv, piece), CutStatus::kStopped);
    EXPECT_EQ(status_of("Q\0\0\0\10stop"sv, piece), CutStatus::kStopped);
  }
}

TEST(Frame, HeldMessagesComeWhole) {
  const std::string in = stream();
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{64}, in.size()}) {
    FrameCutter cutter(1 << 20, 1 << 20, 100);
    Recorder recorder;
    for (std::size_t at = 0; at < in.size(); at += piece) {
      ASSERT_EQ(cutter.feed(std::string_view(in).substr(at, piece), recorder), CutStatus::kOk);
      // Only the message that is larger than the bound is ever handed through in pieces.
      if (!cutter.passed_whole()) {
        EXPECT_EQ(recorder.begun, "DDD");
      }
    }
    EXPECT_EQ(recorder.all, in) << piece;
    EXPECT_EQ(recorder.begun, "DDDC");
  }
}

TEST(Frame, TheRestOfAMessageCanBeDropped) {
  const std::string in = stream();
  FrameCutter cutter(1 << 20, 1 << 20);
  Recorder recorder;
  const std::size_t half = in.find("xxx") + 10;
  ASSERT_EQ(cutter.feed(std::string_view(in).substr(0, half), recorder), CutStatus::kOk);
  EXPECT_FALSE(cutter.passed_whole());
  cutter.drop_rest();
  EXPECT_TRUE(cutter.passed_whole());
  recorder = {};
  for (std::size_t at = half; at < in.size(); at += 100) {
    ASSERT_EQ(cutter.feed(std::string_view(in).substr(at, 100), recorder), CutStatus::kOk);
  }
  EXPECT_EQ(recorder.begun, "C");
  EXPECT_EQ(recorder.passed.find('x'), std::string::npos);
}

TEST(Frame, ItBeginsAnew) {
  FrameCutter cutter(1 << 20, 1 << 20);
  Recorder recorder;
  std::string in;
  append_message(in, 'Q', "whole");
  cutter.feed("Q\0\0", recorder);
  cutter.reset();
  cutter.feed(in, recorder);
  ASSERT_EQ(recorder.taken.size(), 1u);
  EXPECT_EQ(recorder.taken[0].second, "whole");
}

}  // namespace
}  // namespace zorya::pgwire
