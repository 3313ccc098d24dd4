#include "gateway/server.h"

#include "base/log.h"
#include "gateway/session.h"
#include "http/date.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <sys/resource.h>

#include <algorithm>
#include <thread>

namespace zorya::gateway {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

/// Descriptors that connections leave to everything else of the process.
constexpr std::size_t kDescriptorsReserved = 256;

std::size_t connections_allowed(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return wanted;
  const auto descriptors = static_cast<std::size_t>(limit.rlim_cur);
  const std::size_t room =
      descriptors > 2 * kDescriptorsReserved ? descriptors - kDescriptorsReserved : descriptors / 2;
  return std::min(wanted, std::max<std::size_t>(room, 1));
}

/// A quarter of the shortest deadline, so that each is kept well enough, but no more often than
/// needed.
milliseconds tick_period_for(const Limits& limits) {
  const milliseconds shortest =
      std::min({limits.header_deadline, limits.body_deadline, limits.write_deadline,
                limits.idle_deadline, limits.integration_deadline, limits.before_request_deadline});
  return std::clamp(shortest / 4, milliseconds(10), milliseconds(250));
}

std::string address_text(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  return address.to_string();
}

}  // namespace

Server::Server(Options options)
    : options_(std::move(options)),
      settings_{options_.account, options_.region},
      io_(1),
      acceptor_(io_),
      tick_timer_(io_),
      accept_timer_(io_),
      connections_max_(connections_allowed(options_.limits.connections_max)),
      tick_period_(tick_period_for(options_.limits)),
      table_(std::make_shared<RouteTable>(std::vector<template_engine::RestApi>{})) {}

Server::~Server() = default;

base::Result<void> Server::listen() {
  const std::string what = "listen on " + options_.address + ":" + std::to_string(options_.port);
  boost::system::error_code error;
  const auto address = asio::ip::make_address(options_.address, error);
  if (error) {
    return base::Error{base::Code::kInvalidArgument, what + ": not an IP address", {}};
  }
  const Tcp::endpoint endpoint(address, options_.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    const bool in_use = error == asio::error::address_in_use;
    return base::Error{in_use ? base::Code::kFailedPrecondition : base::Code::kIo,
                       what + ": " + error.message(),
                       {}};
  }
  port_ = acceptor_.local_endpoint(error).port();
  accept();
  return {};
}

void Server::run() {
  while (true) {
    try {
      io_.run();
      return;
    } catch (const std::exception& failure) {
      // Out of memory in one request; its deadline ends it.
      base::log(base::LogLevel::kError, "gateway", failure.what());
    }
  }
}

void Server::stop() {
  asio::post(io_, [this] {
    close_all();
    io_.stop();
  });
}

void Server::close_all() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  const auto sessions = std::move(sessions_);
  sessions_.clear();
  for (const auto& [id, session] : sessions) session->close();
}

void Server::set_table(std::shared_ptr<const RouteTable> table) {
  const std::lock_guard lock(table_mutex_);
  table_ = std::move(table);
}

std::shared_ptr<const RouteTable> Server::table() const {
  const std::lock_guard lock(table_mutex_);
  return table_;
}

void Server::resume(const std::weak_ptr<Server>& server, std::uint64_t session_id,
                    std::uint64_t serial, std::function<void(Session&)> action) {
  const std::shared_ptr<Server> held = server.lock();
  if (!held) return;
  // The handler holds no shared pointer to the server: it may wait in the server's own queue.
  asio::dispatch(held->io_, [self = held.get(), session_id, serial, action = std::move(action)] {
    const auto found = self->sessions_.find(session_id);
    if (found == self->sessions_.end() || found->second->serial() != serial) return;
    const std::shared_ptr<Session> session = found->second;
    action(*session);
  });
}

void Server::accept() {
  acceptor_.async_accept([this](const boost::system::error_code& error, Tcp::socket socket) {
    if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
    if (error) {
      if (!std::exchange(accept_failed_, true)) {
        base::log(base::LogLevel::kError, "gateway", "accept: " + error.message());
      }
      return accept_again_later();
    }
    accept_failed_ = false;
    accepted(std::move(socket));
    accept();
  });
}

void Server::accept_again_later() {
  accept_timer_.expires_after(milliseconds(100));
  accept_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && acceptor_.is_open()) accept();
  });
}

void Server::accepted(Tcp::socket socket) {
  if (sessions_.size() >= connections_max_ && !make_room()) return;  // all are at work: refused
  boost::system::error_code error;
  socket.set_option(Tcp::no_delay(true), error);
  const auto peer = socket.remote_endpoint(error);
  if (error) return;  // gone already
  const std::uint64_t id = ++last_session_id_;
  const auto session =
      std::make_shared<Session>(*this, id, std::move(socket), address_text(peer.address()));
  sessions_.emplace(id, session);
  session->start();
  schedule_tick();
}

bool Server::make_room() {
  std::shared_ptr<Session> oldest;
  for (const auto& [id, session] : sessions_) {
    const auto since = session->owes_since();
    if (since && (!oldest || *since < *oldest->owes_since())) oldest = session;
  }
  if (!oldest) return false;
  oldest->close();
  return true;
}

void Server::remove(std::uint64_t session_id) { sessions_.erase(session_id); }

void Server::schedule_tick() {
  if (is_ticking_ || sessions_.empty()) return;
  is_ticking_ = true;
  tick_timer_.expires_after(tick_period_);
  tick_timer_.async_wait([this](const boost::system::error_code& error) {
    is_ticking_ = false;
    if (!error) tick();
  });
}

void Server::tick() {
  const auto now = options_.clock->steady_now();
  std::vector<std::shared_ptr<Session>> late;
  for (const auto& [id, session] : sessions_) {
    if (session->deadline() <= now) late.push_back(session);
  }
  for (const auto& session : late) session->on_deadline();
  schedule_tick();
}

const std::string& Server::date() {
  const auto second = std::chrono::floor<std::chrono::seconds>(options_.clock->now());
  if (second != date_second_ || date_.empty()) {
    date_second_ = second;
    date_ = http::http_date(second);
  }
  return date_;
}

bool Server::account_body(std::ptrdiff_t size_bytes) {
  bodies_size_bytes_ += static_cast<std::size_t>(size_bytes);
  return bodies_size_bytes_ <= options_.limits.bodies_size_bytes_max;
}

namespace {

class GatewayOnThread final : public Gateway {
 public:
  explicit GatewayOnThread(std::shared_ptr<Server> server)
      : server_(std::move(server)), thread_([server = server_.get()] { server->run(); }) {}
  ~GatewayOnThread() override { stop(); }
  GatewayOnThread(const GatewayOnThread&) = delete;
  GatewayOnThread& operator=(const GatewayOnThread&) = delete;

  void set_apis(std::vector<template_engine::RestApi> apis) override {
    server_->set_table(std::make_shared<RouteTable>(std::move(apis)));
  }

  [[nodiscard]] std::uint16_t port() const override { return server_->port(); }

  void stop() override {
    const std::lock_guard lock(stop_mutex_);
    if (!thread_.joinable()) return;
    server_->stop();
    thread_.join();
  }

 private:
  std::shared_ptr<Server> server_;
  std::mutex stop_mutex_;
  std::thread thread_;
};

}  // namespace

base::Result<std::unique_ptr<Gateway>> Gateway::start(Options options) {
  if (options.host == nullptr) {
    return base::Error{base::Code::kInvalidArgument, "start gateway: no function host", {}};
  }
  auto server = std::make_shared<Server>(std::move(options));
  ZORYA_TRY(server->listen());
  return std::unique_ptr<Gateway>(std::make_unique<GatewayOnThread>(std::move(server)));
}

}  // namespace zorya::gateway
