#pragma once

#include "router/stream.h"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// Internal to router: it brings Asio.
namespace zorya::router {

/// The router's own connection to a cluster's server, as a role that may see who holds the locks
/// that a schema change waits for, and end those, and nothing else. One question at a time; an
/// answer that takes longer than a second ends the connection.
class ControlLink : public std::enable_shared_from_this<ControlLink> {
 public:
  struct LockHolder {
    std::uint32_t waiter = 0;
    std::uint32_t holder = 0;  // process ids of backends
    std::string kind;          // backend_type of pg_stat_activity
    std::string state;
    std::string wait;  // wait_event
  };

  ControlLink(asio::io_context& context, std::filesystem::path socket_path)
      : context_(context), socket_path_(std::move(socket_path)), guard_(context) {}

  [[nodiscard]] bool is_open() const { return stream_ && stream_->is_open(); }
  /// Logs in; false if that fails: the server is full, or was made before there was such a role.
  asio::awaitable<bool> open();
  /// Nothing if the connection is broken.
  asio::awaitable<std::optional<std::vector<LockHolder>>> lock_holders(
      std::vector<std::uint32_t> waiters);
  /// Cancels or terminates `holder` if it still holds up `waiter`. False if it does not, or the
  /// connection is broken.
  enum class How { kCancel, kTerminate };
  asio::awaitable<bool> end_holder(std::uint32_t waiter, std::uint32_t holder, How how);
  void close();

 private:
  using Rows = std::vector<std::vector<std::string>>;
  asio::awaitable<std::optional<Rows>> ask(std::string sql);
  asio::awaitable<bool> log_in();
  void watch_time();

  asio::io_context& context_;
  const std::filesystem::path socket_path_;
  std::shared_ptr<ByteStream> stream_;
  asio::steady_timer guard_;
};

}  // namespace zorya::router
