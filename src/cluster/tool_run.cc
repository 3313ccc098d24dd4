#include "cluster/tool_run.h"

#include "base/clock.h"
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>

namespace zorya::cluster {
namespace {

constexpr std::chrono::milliseconds kTick{250};
constexpr std::size_t kLineBytesMax = 4096;
constexpr std::size_t kWordsBytesMax = 2000;

/// Cuts a program's output into lines and keeps the last ones.
class Lines {
 public:
  explicit Lines(const ToolWatch& watch) : watch_(watch) {}

  /// False at the end of the output.
  bool take_from(int fd) {
    std::array<char, 4096> buffer{};
    while (true) {
      const ssize_t got = ::read(fd, buffer.data(), buffer.size());
      if (got == 0) return false;
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      for (const char c : std::string_view(buffer.data(), static_cast<std::size_t>(got))) take(c);
    }
  }

  /// Those that are no progress, in one line.
  [[nodiscard]] std::string last_words() const { return words_; }

  void end_line() {
    if (line_.empty()) return;
    if (watch_.on_line) watch_.on_line(line_);
    if (line_.find("%)") == std::string::npos) {
      if (!words_.empty()) words_ += "; ";
      words_ += line_;
      if (words_.size() > kWordsBytesMax) words_.erase(0, words_.size() - kWordsBytesMax);
    }
    line_.clear();
  }

 private:
  void take(char c) {
    if (c == '\n' || c == '\r') {
      end_line();
    } else if (line_.size() < kLineBytesMax) {
      line_ += c;
    }
  }

  const ToolWatch& watch_;
  std::string line_;
  std::string words_;
};

}  // namespace

base::Result<void> run_tool(base::Launcher& launcher, base::ChildSpec spec,
                            const ToolWatch& watch) {
  const std::string name = std::filesystem::path(spec.argv.front()).filename().string();
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return base::errno_error("make a pipe", errno);
  base::UniqueFd output(ends[0]);
  base::UniqueFd input(ends[1]);
  ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
  spec.descriptors = {{input.get(), 1}, {input.get(), 2}};
  ZORYA_ASSIGN(base::Child child, launcher.start(std::move(spec)));
  input.reset();

  Lines lines(watch);
  bool ended = false;
  auto next_tick = base::system_clock().steady_now() + kTick;
  while (!ended) {
    std::array<pollfd, 2> waits{{{child.pidfd(), POLLIN, 0}, {output.get(), POLLIN, 0}}};
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(next_tick - base::system_clock().steady_now());
    ::poll(waits.data(), waits.size(), static_cast<int>(std::max<long>(left.count(), 0)));
    ended = waits[0].revents != 0;
    if (output && (ended || waits[1].revents != 0) && !lines.take_from(output.get())) {
      output.reset();
    }
    if (ended || base::system_clock().steady_now() < next_tick) continue;
    next_tick = base::system_clock().steady_now() + kTick;
    if (watch.on_tick && !watch.on_tick(child.pid())) {
      base::kill_session(child.pid());
      child.wait_for(std::chrono::seconds(10));
      return base::Error{base::Code::kUnavailable, name + ": stopped", {}};
    }
  }
  lines.end_line();
  base::kill_session(child.pid());  // a program's own children, should it have died
  const int status = child.wait_for(std::chrono::seconds(10)).value_or(-1);
  if (status == 0) return {};
  const std::string how = WIFEXITED(status) ? "exit code " + std::to_string(WEXITSTATUS(status))
                                            : "signal " + std::to_string(WTERMSIG(status));
  return base::Error{base::Code::kIo, name + ": " + how + ": " + lines.last_words(), {}};
}

}  // namespace zorya::cluster
