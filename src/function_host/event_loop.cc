#include "function_host/event_loop.h"

#include "base/check.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace zorya::function_host {
namespace {

/// epoll's user word: descriptor below, a part of the generation above, so that an event that was
/// fetched before the descriptor's number changed hands is told apart.
std::uint64_t key_of(int fd, std::uint64_t generation) {
  return (generation << 32) | static_cast<std::uint32_t>(fd);
}

}  // namespace

base::Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  base::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  base::UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll || !wake) return base::errno_error("make an event loop", errno);
  std::unique_ptr<EventLoop> loop(new EventLoop(std::move(epoll), std::move(wake)));
  const int wake_fd = loop->wake_.get();
  loop->watch(wake_fd, EPOLLIN, [wake_fd](std::uint32_t) {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_fd, &count, sizeof count);
  });
  return loop;
}

EventLoop::EventLoop(base::UniqueFd epoll, base::UniqueFd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

void EventLoop::watch(int fd, std::uint32_t events, std::function<void(std::uint32_t)> handler) {
  const std::uint64_t generation = next_generation_++ & 0xffffffffU;
  epoll_event event{};
  event.events = events;
  event.data.u64 = key_of(fd, generation);
  CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0, std::strerror(errno));
  watches_[fd] = std::make_shared<Watch>(Watch{generation, std::move(handler)});
}

void EventLoop::change(int fd, std::uint32_t events) {
  const auto found = watches_.find(fd);
  if (found == watches_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = key_of(fd, found->second->generation);
  CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0, std::strerror(errno));
}

void EventLoop::unwatch(int fd) {
  if (watches_.erase(fd) == 0) return;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::TimerId EventLoop::at(Time due, std::function<void()> handler) {
  const TimerId id = next_timer_++;
  timers_.emplace(std::pair{due, id}, std::move(handler));
  timer_due_.emplace(id, due);
  return id;
}

EventLoop::TimerId EventLoop::after(std::chrono::nanoseconds delay, std::function<void()> handler) {
  return at(std::chrono::steady_clock::now() + delay, std::move(handler));
}

void EventLoop::cancel(TimerId timer) {
  const auto found = timer_due_.find(timer);
  if (found == timer_due_.end()) return;
  timers_.erase({found->second, timer});
  timer_due_.erase(found);
}

void EventLoop::post(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(call));
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

void EventLoop::stop() {
  post([this] {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  });
}

void EventLoop::run_posted() {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(posted_);
  }
  for (auto& call : calls) call();
}

void EventLoop::run_timers() {
  const Time now = std::chrono::steady_clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    timer_due_.erase(node.key().second);
    node.mapped()();
  }
}

int EventLoop::wait_ms() const {
  if (timers_.empty()) return -1;
  const auto left = timers_.begin()->first.first - std::chrono::steady_clock::now();
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<long long>(ms, 0, 60'000));
}

void EventLoop::run() {
  std::array<epoll_event, 128> events{};
  for (;;) {
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms());
    CHECK(count >= 0 || errno == EINTR, std::strerror(errno));
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      const auto found = watches_.find(static_cast<int>(event.data.u64 & 0xffffffffU));
      if (found == watches_.end() || found->second->generation != event.data.u64 >> 32) continue;
      const std::shared_ptr<Watch> kept = found->second;  // it may remove itself
      kept->handler(event.events);
    }
    run_timers();
    run_posted();
    const std::lock_guard lock(mutex_);
    if (stopped_ && posted_.empty()) return;
  }
}

}  // namespace zorya::function_host
