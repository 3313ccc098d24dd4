#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace zorya::cli {

/// Tells the user step by step what is being done: a line when a step is done, with its time, and a
/// line now and then while one takes long. Any thread; lines never mix. A reader that stalls loses
/// lines and holds nothing up for longer than a moment each; how many were lost is said.
class Steps {
 public:
  enum class Form { kText, kJson };
  explicit Steps(Form form, std::FILE* out = stdout);
  ~Steps();
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;

  /// One step; say done() or failed() once. Outlived by its Steps.
  class Step {
   public:
    void done(std::string_view detail = {});
    void failed(std::string_view reason);

   private:
    friend class Steps;
    Step(Steps& steps, std::string what, long number)
        : steps_(steps),
          what_(std::move(what)),
          number_(number),
          start_(std::chrono::steady_clock::now()) {}
    void end(std::string_view mark, std::string_view state, std::string_view detail);

    Steps& steps_;
    std::string what_;
    long number_;
    std::chrono::steady_clock::time_point start_;
  };
  [[nodiscard]] Step begin(std::string what);

  /// A line for the user; in JSON {"<kind>": text}.
  void say(std::string_view kind, std::string_view text);
  /// A line as it is.
  void line(std::string_view text);

  /// Whether a line of up to kLineBytesMax can be written without waiting.
  [[nodiscard]] bool is_writable() const;
  static constexpr std::size_t kLineBytesMax = 4000;  // below PIPE_BUF

 private:
  struct Running {
    long number;
    std::string what;
    std::chrono::steady_clock::time_point start;
    std::chrono::seconds next_word;
  };
  void watch_long_ones();
  void write(std::string_view text);

  Form form_;
  std::FILE* out_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Running> running_;
  long count_ = 0;
  long lost_count_ = 0;
  bool stops_ = false;
  std::thread ticker_;
};

/// "0.42 s", "12.3 s", "38 ms".
std::string duration_text(std::chrono::nanoseconds duration);

}  // namespace zorya::cli
