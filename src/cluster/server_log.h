#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

#include <deque>
#include <filesystem>
#include <string>
#include <string_view>

namespace zorya::cluster {

/// A server's log file with a bound: when it has reached its size it becomes `<name>.1` and a new
/// one begins. The last lines are kept at hand, for they say why a server ended. A full disk loses
/// lines and nothing else. One thread.
class ServerLog {
 public:
  /// Appends to `path`, 0600.
  explicit ServerLog(std::filesystem::path path, std::size_t size_bytes_max = 1u << 20);

  void append(std::string_view text);

  /// Reads what a pipe (non-blocking) holds. False when nobody can write to it any more.
  bool take_from(int fd);

  /// Why it ended, as far as it said so: the last FATAL or PANIC line without its date, else the
  /// lines that are no log lines, else nothing.
  [[nodiscard]] std::string last_words() const;

  /// True if it recovers after the crash of one of its processes, as its last lines say.
  [[nodiscard]] bool tells_of_recovery() const;

  /// Forgets the last lines: those of a server that is no more.
  void forget_lines();

 private:
  void remember(std::string_view text);
  void write(std::string_view text);
  void rotate();

  std::filesystem::path path_;
  std::size_t size_bytes_max_;
  base::UniqueFd file_;
  std::size_t size_bytes_ = 0;
  std::string unfinished_line_;
  std::deque<std::string> lines_;
};

}  // namespace zorya::cluster
