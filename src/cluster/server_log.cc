#include "cluster/server_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace zorya::cluster {
namespace {

constexpr std::size_t kLinesKept = 20;
constexpr std::size_t kLineBytesMax = 2048;

}  // namespace

ServerLog::ServerLog(std::filesystem::path path, std::size_t size_bytes_max)
    : path_(std::move(path)), size_bytes_max_(size_bytes_max) {
  file_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat info {};
  if (file_ && ::fstat(file_.get(), &info) == 0) {
    size_bytes_ = static_cast<std::size_t>(info.st_size);
  }
}

void ServerLog::append(std::string_view text) {
  remember(text);
  write(text);
}

bool ServerLog::take_from(int fd) {
  std::array<char, 16384> buffer{};
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got > 0) {
      append({buffer.data(), static_cast<std::size_t>(got)});
    } else if (got == 0) {
      return false;
    } else if (errno != EINTR) {
      return errno == EAGAIN;
    }
  }
}

std::string ServerLog::last_words() const {
  for (auto line = lines_.rbegin(); line != lines_.rend(); ++line) {
    // What it told clients (our probe) while it started says nothing about why it ended.
    if (line->find("the database system is ") != std::string::npos) continue;
    for (const std::string_view severity : {"FATAL:", "PANIC:"}) {
      if (const auto at = line->find(severity); at != std::string::npos) {
        const auto text = line->find_first_not_of(' ', at + severity.size());
        return text == std::string::npos ? *line : line->substr(text);
      }
    }
  }
  // Before its log works it writes plain lines.
  std::string plain;
  for (const std::string& line : lines_) {
    if (line.find("LOG:") != std::string::npos || line.find("FATAL:") != std::string::npos)
      continue;
    if (!plain.empty()) plain += "; ";
    plain += line;
  }
  return plain;
}

bool ServerLog::tells_of_recovery() const {
  for (auto line = lines_.rbegin(); line != lines_.rend(); ++line) {
    if (line->find("ready to accept connections") != std::string::npos) return false;
    if (line->find("server processes terminated; reinitializing") != std::string::npos) return true;
    // Clients who ask meanwhile may have driven that line out.
    if (line->find("the database system is in recovery mode") != std::string::npos) return true;
  }
  return false;
}

void ServerLog::forget_lines() {
  lines_.clear();
  unfinished_line_.clear();
}

void ServerLog::remember(std::string_view text) {
  for (const char c : text) {
    if (c != '\n') {
      if (unfinished_line_.size() < kLineBytesMax) unfinished_line_.push_back(c);
      continue;
    }
    lines_.push_back(std::move(unfinished_line_));
    unfinished_line_.clear();
    if (lines_.size() > kLinesKept) lines_.pop_front();
  }
}

void ServerLog::write(std::string_view text) {
  if (size_bytes_ >= size_bytes_max_) rotate();
  while (file_ && !text.empty()) {
    const ssize_t written = ::write(file_.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // a full disk loses lines
    size_bytes_ += static_cast<std::size_t>(written);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void ServerLog::rotate() {
  const std::string old = path_.string() + ".1";
  ::rename(path_.c_str(), old.c_str());
  file_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  size_bytes_ = 0;
}

}  // namespace zorya::cluster
