#include "cluster/supervisor.h"

#include "base/clock.h"
#include "base/log.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

namespace zorya::cluster {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStopPatience{8000};
constexpr milliseconds kForEver{3'600'000};

}  // namespace

Supervisor::Supervisor(std::string id, ServerSpec spec, base::Launcher& launcher, RestartRule rule)
    : id_(std::move(id)),
      spec_(std::move(spec)),
      launcher_(launcher),
      rule_(rule),
      log_(spec_.log_file),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { run(); }) {
  CHECK(wake_, "no eventfd for a supervisor");
}

Supervisor::~Supervisor() {
  stop();
  thread_.join();
}

Supervisor::Status Supervisor::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

base::Result<void> Supervisor::wait_until_active() {
  std::unique_lock lock(mutex_);
  if (status_.state == State::kFailed) {
    retry_asked_ = true;
    status_.state = State::kCreating;
    changed_.notify_all();
  }
  changed_.wait(lock, [this] {
    return stopping() || status_.state == State::kFailed || status_.postmaster_pid != 0;
  });
  if (stopping()) {
    return base::Error{
        base::Code::kFailedPrecondition, "start cluster " + id_ + ": the instance is stopping", {}};
  }
  if (status_.state == State::kFailed) {
    return base::Error{base::Code::kUnavailable, "start cluster " + id_ + ": " + status_.reason,
                       "its log is " + spec_.log_file.string()};
  }
  return {};
}

void Supervisor::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void Supervisor::set_status(Status status) {
  {
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
  }
  changed_.notify_all();
}

void Supervisor::run() {
  int failed_attempts = 0;
  while (!stopping()) {
    const auto begin = base::system_clock().steady_now();
    auto served = run_server_once();
    if (stopping()) break;
    if (base::system_clock().steady_now() - begin > rule_.healthy_after) failed_attempts = 0;
    ++failed_attempts;
    const std::string reason = served ? "it ended" : served.error().message;
    base::log(base::LogLevel::kWarning, "cluster",
              "the server of cluster " + id_ + " ended (" + reason +
                  "); starting it again, attempt " + std::to_string(failed_attempts) +
                  " of this series");
    // A failed one stays failed for those who look until it serves again.
    const bool failed = failed_attempts >= rule_.attempts_max;
    const State mending = has_served_ ? State::kActive : State::kCreating;
    set_status({failed ? State::kFailed : mending, failed ? reason : std::string(), 0});
    wait_before_attempt(failed_attempts);
  }
  // Empty by now. One under /run or /tmp would be left behind by a data folder that is removed.
  std::error_code ignored;
  std::filesystem::remove(spec_.socket_folder, ignored);
  set_status({State::kInactive, {}, 0});
}

/// From the start of a server to its end. The error says why it ended.
base::Result<void> Supervisor::run_server_once() {
  ZORYA_ASSIGN(Server server, Server::start(spec_, launcher_, log_));
  auto serving = server.wait_until_serving(kAdminRole, rule_.serve_timeout, wake_.get());
  if (serving) {
    has_served_ = true;
    set_status({State::kActive, {}, server.pid()});
    while (server.wait(kForEver, wake_.get()) == Server::Event::kTimeout) {
    }
  }
  if (stopping() || (!serving && serving.error().code == base::Code::kDeadlineExceeded)) {
    server.stop(kStopPatience);
  }
  if (!serving) return serving.error();
  return base::Error{base::Code::kUnavailable, server.end_reason(), {}};
}

void Supervisor::wait_before_attempt(int failed_attempts) {
  milliseconds wait = rule_.first_wait;
  for (int i = 1; i < failed_attempts && wait < rule_.wait_max; ++i) wait *= 2;
  wait = std::min(wait, rule_.wait_max);
  // The first death of a server that ran is mended at once.
  if (failed_attempts == 1) wait = milliseconds(0);
  if (failed_attempts >= rule_.attempts_max) wait = rule_.retry_failed;
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, wait, [this] { return stopping() || retry_asked_; });
  retry_asked_ = false;
}

}  // namespace zorya::cluster
