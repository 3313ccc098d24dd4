#include "cli/steps.h"

#include <boost/json.hpp>
#include <poll.h>

#include <algorithm>

namespace zorya::cli {
namespace {

namespace json = boost::json;

constexpr std::chrono::seconds kFirstWord{2};
constexpr std::chrono::seconds kNextWord{5};
constexpr int kPatienceMs = 200;

// A pipe is writable when it takes PIPE_BUF bytes at once; files always are, and streams of memory
// have no descriptor.
bool can_write(std::FILE* out, int patience_ms) {
  const int fd = ::fileno(out);
  if (fd < 0) return true;
  pollfd one{fd, POLLOUT, 0};
  return ::poll(&one, 1, patience_ms) > 0;
}

}  // namespace

std::string duration_text(std::chrono::nanoseconds duration) {
  const double ms = std::chrono::duration<double, std::milli>(duration).count();
  char text[32];
  if (ms < 100) {
    std::snprintf(text, sizeof text, "%.0f ms", ms);
  } else if (ms < 10'000) {
    std::snprintf(text, sizeof text, "%.2f s", ms / 1000);
  } else {
    std::snprintf(text, sizeof text, "%.1f s", ms / 1000);
  }
  return text;
}

Steps::Steps(Form form, std::FILE* out)
    : form_(form), out_(out), ticker_([this] { watch_long_ones(); }) {}

Steps::~Steps() {
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
  }
  wake_.notify_all();
  ticker_.join();
}

bool Steps::is_writable() const { return can_write(out_, 0); }

void Steps::write(std::string_view text) {
  if (!can_write(out_, kPatienceMs)) {
    ++lost_count_;
    return;
  }
  if (lost_count_ > 0 && form_ == Form::kText) {
    std::fprintf(out_, "  note: %ld lines were lost as nobody read them\n", lost_count_);
    lost_count_ = 0;
  }
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fputc('\n', out_);
  std::fflush(out_);
}

void Steps::line(std::string_view text) {
  const std::lock_guard lock(mutex_);
  write(text);
}

void Steps::say(std::string_view kind, std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (form_ == Form::kJson) {
    write(json::serialize(json::object{{kind, text}}));
  } else {
    write("  " + std::string(kind) + ": " + std::string(text));
  }
}

Steps::Step Steps::begin(std::string what) {
  const std::lock_guard lock(mutex_);
  Step step(*this, std::move(what), ++count_);
  running_.push_back({step.number_, step.what_, step.start_, kFirstWord});
  wake_.notify_all();
  return step;
}

void Steps::Step::done(std::string_view detail) { end("✓", "done", detail); }
void Steps::Step::failed(std::string_view reason) { end("✗", "failed", reason); }

void Steps::Step::end(std::string_view mark, std::string_view state, std::string_view detail) {
  const auto took = std::chrono::steady_clock::now() - start_;
  const std::lock_guard lock(steps_.mutex_);
  std::erase_if(steps_.running_, [&](const Running& one) { return one.number == number_; });
  if (steps_.form_ == Form::kJson) {
    steps_.write(json::serialize(
        json::object{{"step", what_},
                     {"state", state},
                     {"detail", detail},
                     {"ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()}}));
    return;
  }
  std::string text = "  " + std::string(mark) + " " + what_;
  if (!detail.empty()) text += ": " + std::string(detail);
  steps_.write(text + "  (" + duration_text(took) + ")");
}

void Steps::watch_long_ones() {
  std::unique_lock lock(mutex_);
  while (!stops_) {
    if (running_.empty()) {
      wake_.wait(lock);
      continue;
    }
    wake_.wait_for(lock, std::chrono::seconds(1));
    for (Running& one : running_) {
      const auto age = std::chrono::steady_clock::now() - one.start;
      if (age < one.next_word || stops_) continue;
      one.next_word = std::chrono::duration_cast<std::chrono::seconds>(age) + kNextWord;
      if (form_ == Form::kJson) {
        write(json::serialize(json::object{{"step", one.what}, {"state", "running"}}));
      } else {
        write("  … " + one.what + "  (" + duration_text(age) + " so far)");
      }
    }
  }
}

}  // namespace zorya::cli
