#pragma once

#include "gateway/exchange.h"
#include "gateway/gateway.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace zorya::gateway {

class Session;

/// The listener and all its connections; lives on one thread, but for what says otherwise. Callers
/// elsewhere hold a weak pointer, so that a late answer of the function host finds nobody.
class Server : public std::enable_shared_from_this<Server> {
 public:
  explicit Server(Options options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  base::Result<void> listen();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  void run();   // the thread's body: until stop()
  void stop();  // any thread

  void set_table(std::shared_ptr<const RouteTable> table);        // any thread
  [[nodiscard]] std::shared_ptr<const RouteTable> table() const;  // any thread

  /// Runs `action` on the connection's thread if that connection is there and still waits for
  /// `serial`. Any thread; at once if it is the right one.
  static void resume(const std::weak_ptr<Server>& server, std::uint64_t session_id,
                     std::uint64_t serial, std::function<void(Session&)> action);

  // For sessions, on the server's thread.
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  void remove(std::uint64_t session_id);
  /// The Date header's value, made once a second.
  const std::string& date();
  /// Counts a body's growth or, negative, its end; false when all bodies together are too much.
  bool account_body(std::ptrdiff_t size_bytes);

 private:
  using Tcp = boost::asio::ip::tcp;

  void accept();
  void accepted(Tcp::socket socket);
  void accept_again_later();
  bool make_room();
  void schedule_tick();
  void tick();
  void close_all();

  const Options options_;
  const Settings settings_;
  boost::asio::io_context io_;
  Tcp::acceptor acceptor_;
  boost::asio::steady_timer tick_timer_;
  boost::asio::steady_timer accept_timer_;
  std::uint16_t port_ = 0;
  std::size_t connections_max_ = 0;
  std::chrono::milliseconds tick_period_{250};
  bool is_ticking_ = false;
  bool accept_failed_ = false;
  std::uint64_t last_session_id_ = 0;
  std::size_t bodies_size_bytes_ = 0;
  std::chrono::system_clock::time_point date_second_;
  std::string date_;
  mutable std::mutex table_mutex_;
  std::shared_ptr<const RouteTable> table_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Session>> sessions_;
};

}  // namespace zorya::gateway
