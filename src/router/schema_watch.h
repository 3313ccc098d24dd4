#pragma once

#include "router/control_link.h"
#include "router/ladder.h"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <string>

// Internal to router: it brings Asio.
namespace zorya::router {

class Session;
struct Shared;

/// Of one cluster: while a schema change is in flight for longer than a few milliseconds, asks who
/// holds it up and ends those, step by step (ladder.h). Does nothing, and costs nothing, while
/// there is none.
class SchemaWatch : public std::enable_shared_from_this<SchemaWatch> {
 public:
  SchemaWatch(Shared* shared, std::string cluster_id);

  /// `session` has begun a schema change on the server at `socket_path`.
  void add(const std::shared_ptr<Session>& session, const std::filesystem::path& socket_path);
  /// Ends the connection and what waits for it.
  void stop();

 private:
  using Self = std::shared_ptr<SchemaWatch>;
  using Time = std::chrono::steady_clock::time_point;
  struct Waiter {
    std::weak_ptr<Session> session;
    Time begun;
  };
  struct Wound {
    Verb last = Verb::kNone;
    Time first_at;
    Time last_at;
    bool seen = false;
  };

  static asio::awaitable<void> run(Self self);
  asio::awaitable<bool> round();
  void begin_wounds();
  void end_wounds();
  asio::awaitable<void> wound(ControlLink::LockHolder holder);
  asio::awaitable<void> cancel(ControlLink::LockHolder holder, std::shared_ptr<Session> session);
  asio::awaitable<void> terminate(ControlLink::LockHolder holder, std::shared_ptr<Session> session);
  asio::awaitable<void> pause(std::chrono::milliseconds time);
  std::vector<std::uint32_t> waiting();
  [[nodiscard]] Time now() const;
  void close_when_idle();

  Shared* const shared_;
  const std::string cluster_id_;
  std::filesystem::path socket_path_;
  std::list<Waiter> waiters_;
  std::map<std::uint32_t, Wound> wounds_;  // by the holder's process id
  std::shared_ptr<ControlLink> link_;
  asio::steady_timer timer_;
  bool running_ = false;
  bool stopped_ = false;
};

}  // namespace zorya::router
