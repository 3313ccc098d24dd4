#include "cli/progress.h"

#include <boost/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace zorya::cli {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kNextWord{5000};
constexpr std::chrono::milliseconds kNextJson{200};

int percent_of(const cluster::CopyProgress& progress) {
  if (progress.total_bytes == 0) return 0;
  const double share =
      static_cast<double>(progress.done_bytes) / static_cast<double>(progress.total_bytes);
  return static_cast<int>(std::min(share, 1.0) * 100);
}

std::string line_of(const cluster::CopyProgress& progress) {
  std::string line = "  " + std::string(progress.step);
  if (progress.total_bytes == 0) return line;
  return line + "  " + std::to_string(percent_of(progress)) + " %  " +
         size_text(progress.done_bytes) + " of " + size_text(progress.total_bytes);
}

}  // namespace

std::string size_text(std::uint64_t size_bytes) {
  constexpr std::array<const char*, 4> kUnits{"KiB", "MiB", "GiB", "TiB"};
  double size = static_cast<double>(size_bytes) / 1024;
  std::size_t unit = 0;
  for (; size >= 1024 && unit + 1 < kUnits.size(); ++unit) size /= 1024;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %s", size, kUnits[unit]);
  return text.data();
}

Progress::Progress(bool as_json) : as_json_(as_json), is_terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (!as_json_ && is_terminal_ && !step_.empty()) std::fputs("\r\033[K", stderr);
}

void Progress::tell(const cluster::CopyProgress& progress) {
  const auto now = std::chrono::steady_clock::now();
  const bool is_new = step_ != progress.step;
  const bool is_end = progress.total_bytes > 0 && progress.done_bytes >= progress.total_bytes;
  const bool is_due =
      is_new || (is_end && !is_at_end_) || now - last_word_ >= (as_json_ ? kNextJson : kNextWord);
  step_ = progress.step;
  is_at_end_ = is_end;
  if (as_json_) {
    if (!is_due) return;
    std::puts(json::serialize(json::object{{"step", progress.step},
                                           {"done_bytes", progress.done_bytes},
                                           {"total_bytes", progress.total_bytes},
                                           {"percent", percent_of(progress)}})
                  .c_str());
    std::fflush(stdout);
  } else if (is_terminal_) {
    std::fprintf(stderr, "\r\033[K%s", line_of(progress).c_str());
  } else if (is_due) {
    std::fprintf(stderr, "%s\n", line_of(progress).c_str());
  } else {
    return;
  }
  last_word_ = now;
}

}  // namespace zorya::cli
