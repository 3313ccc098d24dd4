#include "router/router.h"

#include "base/log.h"
#include "net/socket.h"
#include "router/error_map.h"
#include "router/session.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <future>
#include <thread>

namespace zorya::router {
namespace {

using namespace std::chrono_literals;

constexpr int kBacklog = 1024;
constexpr int kAcceptsAtOnce = 32;
constexpr std::chrono::milliseconds kFullPause = 100ms;
constexpr std::chrono::milliseconds kStopTime = 2000ms;

void raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

asio::awaitable<void> accept_clients(Shared* shared,
                                     std::shared_ptr<asio::posix::stream_descriptor> listener) {
  while (!shared->stopping) {
    const auto [error] =
        co_await listener->async_wait(asio::posix::descriptor_base::wait_read, kAwait);
    if (error) co_return;
    // A bounded number at a time, so that a storm of newcomers does not hold up those who are in.
    for (int count = 0; count < kAcceptsAtOnce && !shared->stopping; ++count) {
      base::UniqueFd socket(
          ::accept4(listener->native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (socket) {
        std::string origin = net::peer_name(socket.get());
        Session::begin(shared, std::move(socket), std::move(origin), nullptr);
        continue;
      }
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        // Out of descriptors or memory: those who wait stay in the backlog until some are free.
        shared->log.write(base::errno_error("accept", errno).message,
                          shared->options.clock->steady_now());
        asio::steady_timer pause(shared->context, kFullPause);
        co_await pause.async_wait(kAwait);
      }
      break;
    }
  }
}

class ThreadedRouter final : public Router {
 public:
  ThreadedRouter(std::unique_ptr<Shared> shared, base::UniqueFd listener, std::uint16_t port)
      : shared_(std::move(shared)), work_(asio::make_work_guard(shared_->context)), port_(port) {
    listener_ =
        std::make_shared<asio::posix::stream_descriptor>(shared_->context, listener.release());
    asio::co_spawn(shared_->context, accept_clients(shared_.get(), listener_), asio::detached);
    thread_ = std::thread([this] { run(); });
  }

  ~ThreadedRouter() override { stop(); }

  std::uint16_t port() const override { return port_; }

  void adopt(base::UniqueFd socket, std::string origin, std::shared_ptr<void> lease) override {
    auto held = std::make_shared<base::UniqueFd>(std::move(socket));
    asio::post(shared_->context, [shared = shared_.get(), held, origin = std::move(origin),
                                  lease = std::move(lease)]() mutable {
      if (!shared->stopping) {
        Session::begin(shared, std::move(*held), std::move(origin), std::move(lease));
      }
    });
  }

  RouterStatus status() const override {
    if (stopped_) return {};
    auto promise = std::make_shared<std::promise<RouterStatus>>();
    auto future = promise->get_future();
    asio::post(shared_->context, [shared = shared_.get(), promise] {
      promise->set_value({.sessions = shared->sessions.size(),
                          .half_open = shared->half_open.size(),
                          .accepted = shared->accepted,
                          .refused = shared->refused,
                          .losses = shared->losses});
    });
    if (future.wait_for(kStopTime) != std::future_status::ready) return {};
    return future.get();
  }

  void stop() override {
    if (!thread_.joinable()) return;
    asio::post(shared_->context, [this] {
      shared_->stopping = true;
      boost::system::error_code ignored;
      listener_->close(ignored);
      end_all();
      for (const auto& [id, watch] : shared_->watches) watch->stop();
      shared_->age_timer.cancel();
      work_.reset();
    });
    thread_.join();
    stopped_ = true;
  }

 private:
  void run() {
    // A write to a peer that is gone is an error here, and signals are the main thread's.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    while (!shared_->context.stopped()) {
      try {
        shared_->context.run();
      } catch (const std::exception& exception) {  // out of memory, most likely
        base::log(base::LogLevel::kError, "router", exception.what());
      }
    }
  }

  void end_all() {
    // Copies: ending one takes it from the list.
    for (const auto& weak : std::list(shared_->half_open)) {
      if (const auto session = weak.lock()) session->drop();
    }
    for (const auto& weak : std::list(shared_->sessions)) {
      if (const auto session = weak.lock()) {
        session->end({.severity = "FATAL",
                      .sqlstate = "57P01",
                      .message = "terminating connection due to administrator command"});
      }
    }
    stop_timer_.emplace(shared_->context, kStopTime);
    stop_timer_->async_wait([this](const boost::system::error_code& error) {
      if (!error) shared_->context.stop();
    });
    // It must not keep the context alive when all sessions have ended.
    watch_end();
  }

  /// Ends the wait as soon as the last session is gone.
  void watch_end() {
    if (shared_->sessions.empty() && shared_->half_open.empty()) {
      stop_timer_->cancel();
      return;
    }
    auto tick = std::make_shared<asio::steady_timer>(shared_->context, 10ms);
    tick->async_wait([this, tick](const boost::system::error_code& error) {
      if (!error) watch_end();
    });
  }

  const std::unique_ptr<Shared> shared_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  const std::uint16_t port_;
  std::shared_ptr<asio::posix::stream_descriptor> listener_;
  std::optional<asio::steady_timer> stop_timer_;
  std::thread thread_;
  std::atomic<bool> stopped_ = false;
};

}  // namespace

base::Result<std::unique_ptr<Router>> Router::start(Options options) {
  CHECK(options.authority != nullptr && options.keys != nullptr && options.find_cluster,
        "a router needs an authority, keys and clusters");
  raise_open_files();
  ZORYA_ASSIGN(base::UniqueFd listener, net::listen_tcp(options.address, options.port, kBacklog));
  ZORYA_ASSIGN(const std::uint16_t port, net::local_port(listener.get()));
  const auto name_exists = [find = options.find_cluster,
                            region = options.region](std::string_view name) {
    const auto id = cluster_id_of(name, region);
    if (!id) return false;
    const auto target = find(*id);
    return target || target.error().code != base::Code::kNotFound;
  };
  ZORYA_ASSIGN(auto tls, net::TlsServer::create({.authority = options.authority,
                                                 .protocol = "postgresql",
                                                 .name_exists = name_exists}));
  auto shared = std::make_unique<Shared>(std::move(options), std::move(tls));
  return std::unique_ptr<Router>(
      std::make_unique<ThreadedRouter>(std::move(shared), std::move(listener), port));
}

}  // namespace zorya::router
