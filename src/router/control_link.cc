#include "router/control_link.h"

#include "net/socket.h"
#include "pgwire/frame.h"
#include "pgwire/messages.h"
#include "pgwire/startup.h"
#include "router/backend_greeting.h"
#include "router/read_answer.h"

#include <charconv>

namespace zorya::router {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kAnswerTime = 1000ms;

/// Collects the rows of a simple query's answer; stops at its end.
struct RowReader {
  static bool wants(char /*type*/) { return true; }
  static bool begin(char /*type*/) { return false; }
  void pass(std::string_view /*run*/) {}
  bool take(const pgwire::Frame& frame) {
    if (frame.type == 'D') {
      const auto values = pgwire::parse_data_row(frame.body);
      if (!values) return false;
      rows.emplace_back(values->begin(), values->end());
    }
    if (frame.type == 'E') failed = true;
    done = frame.type == 'Z';
    return !done;
  }
  std::vector<std::vector<std::string>> rows;
  bool failed = false;
  bool done = false;
};

std::uint32_t number(std::string_view text) {
  std::uint32_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

}  // namespace

void ControlLink::watch_time() {
  guard_.expires_after(kAnswerTime);
  guard_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!error && self) self->close();
  });
}

void ControlLink::close() {
  guard_.cancel();
  if (stream_) stream_->close();
}

asio::awaitable<bool> ControlLink::open() {
  auto socket = net::connect_unix(socket_path_);
  if (!socket) co_return false;
  stream_ = std::make_shared<ByteStream>(context_, std::move(*socket));
  watch_time();
  const bool ok = co_await log_in();
  guard_.cancel();
  if (!ok) close();
  co_return ok;
}

asio::awaitable<bool> ControlLink::log_in() {
  const std::string startup =
      pgwire::print_startup({{"user", "zorya_control"}, {"database", "postgres"}});
  if (!co_await stream_->write_all(startup)) co_return false;
  BackendGreeting greeting;
  // Apart: gcc 12 answers false for an awaited left side of &&.
  const bool answered = co_await read_answer(stream_.get(), &greeting);
  if (!answered) co_return false;
  co_return greeting.status().has_value();
}

asio::awaitable<std::optional<ControlLink::Rows>> ControlLink::ask(std::string sql) {
  if (!is_open()) co_return std::nullopt;
  watch_time();
  std::string query;
  pgwire::append_query(query, sql);
  RowReader reader;
  if (co_await stream_->write_all(query)) co_await read_answer(stream_.get(), &reader);
  guard_.cancel();
  if (reader.done && !reader.failed) co_return std::move(reader.rows);
  close();
  co_return std::nullopt;
}

asio::awaitable<std::optional<std::vector<ControlLink::LockHolder>>> ControlLink::lock_holders(
    std::vector<std::uint32_t> waiters) {
  std::string list;
  for (const std::uint32_t waiter : waiters) {
    list += (list.empty() ? "" : ",") + std::to_string(waiter);
  }
  const auto rows = co_await ask(
      "SELECT waiter, holder, kind, state, wait FROM sys.lock_holders('{" + list + "}')");
  if (!rows) co_return std::nullopt;
  std::vector<LockHolder> out;
  for (const auto& row : *rows) {
    if (row.size() != 5) co_return std::nullopt;
    out.push_back({number(row[0]), number(row[1]), row[2], row[3], row[4]});
  }
  co_return out;
}

asio::awaitable<bool> ControlLink::end_holder(std::uint32_t waiter, std::uint32_t holder, How how) {
  const auto rows = co_await ask("SELECT sys.end_lock_holder(" + std::to_string(waiter) + ", " +
                                 std::to_string(holder) + ", " +
                                 (how == How::kTerminate ? "true" : "false") + ")");
  co_return rows && rows->size() == 1 && rows->front().size() == 1 && rows->front().front() == "t";
}

}  // namespace zorya::router
