#include "cli/reloader.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <chrono>

namespace zorya::cli {
namespace {

// Editors write several files and names in a row; a request that waits cuts this short.
constexpr int kQuietMs = 40;
constexpr std::chrono::milliseconds kSettleMax{400};

}  // namespace

base::Result<std::unique_ptr<Reloader>> Reloader::create(Publish publish) {
  ZORYA_ASSIGN(Watcher watcher, Watcher::create());
  base::UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return base::errno_error("make an event descriptor", errno);
  return std::unique_ptr<Reloader>(
      new Reloader(std::move(publish), std::move(watcher), std::move(wake)));
}

Reloader::~Reloader() { stop(); }

void Reloader::stop() {
  std::vector<Ready> waiters;
  {
    const std::lock_guard lock(mutex_);
    stops_ = true;
    std::swap(waiters, waiters_);
  }
  wake_thread();
  if (thread_.joinable()) thread_.join();
  {
    const std::lock_guard lock(mutex_);
    waiters.insert(waiters.end(), std::make_move_iterator(waiters_.begin()),
                   std::make_move_iterator(waiters_.end()));
    waiters_.clear();
  }
  for (Ready& ready : waiters) ready(base::Error{base::Code::kUnavailable, "zorya stops", {}});
}

void Reloader::wake_thread() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

base::Result<void> Reloader::start(const Published& first) {
  base::Result<void> watching;
  std::vector<Ready> waiters;
  std::optional<base::Error> failure;
  {
    const std::lock_guard lock(mutex_);
    watching = watcher_.watch(first.watched);
    is_dirty_ = false;
    if (!first.outcome) failure_ = first.outcome.error();
    failure = failure_;
    std::swap(waiters, waiters_);
  }
  for (Ready& ready : waiters) ready(failure ? base::Result<void>(*failure) : base::Result<void>{});
  thread_ = std::thread([this] { run(); });
  return watching;
}

void Reloader::before_request(Ready ready) {
  base::Result<void> answer;
  {
    const std::lock_guard lock(mutex_);
    if (!is_dirty_ && watcher_.drain()) is_dirty_ = true;
    if (is_dirty_ && !stops_) {
      waiters_.push_back(std::move(ready));
      wake_thread();
      return;
    }
    if (failure_) answer = *failure_;
  }
  ready(std::move(answer));
}

void Reloader::run() {
  while (true) {
    pollfd both[2] = {{watcher_.fd(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    ::poll(both, 2, -1);
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
    bool is_due = false;
    {
      const std::lock_guard lock(mutex_);
      if (stops_) return;
      if (watcher_.drain()) is_dirty_ = true;
      is_due = is_dirty_;
    }
    if (!is_due) continue;
    settle();
    publish_now();
  }
}

// Waits until the sources are quiet, or someone waits for them.
void Reloader::settle() {
  const auto deadline = std::chrono::steady_clock::now() + kSettleMax;
  while (std::chrono::steady_clock::now() < deadline) {
    {
      const std::lock_guard lock(mutex_);
      if (!waiters_.empty() || stops_) return;
    }
    pollfd both[2] = {{watcher_.fd(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (::poll(both, 2, kQuietMs) == 0) return;
    const std::lock_guard lock(mutex_);
    watcher_.drain();
  }
}

void Reloader::publish_now() {
  while (true) {
    Published published = publish_();
    std::vector<Ready> waiters;
    std::optional<base::Error> failure;
    {
      const std::lock_guard lock(mutex_);
      if (stops_) return;
      const bool changed_meanwhile = watcher_.drain();
      (void)watcher_.watch(published.watched);  // said at the start if it cannot be
      failure_.reset();
      if (!published.outcome) failure_ = published.outcome.error();
      if (changed_meanwhile) continue;  // who waits asked for the newest
      is_dirty_ = false;
      failure = failure_;
      std::swap(waiters, waiters_);
    }
    for (Ready& ready : waiters)
      ready(failure ? base::Result<void>(*failure) : base::Result<void>{});
    return;
  }
}

}  // namespace zorya::cli
