#include "http_load.h"

#include "base/unique_fd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace zorya::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Connection {
  base::UniqueFd fd;
  std::string answer;
  Clock::time_point sent;
};

base::Result<base::UniqueFd> connect_to(const LoadOptions& options) {
  base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(options.port);
  if (::inet_pton(AF_INET, options.address.c_str(), &address.sin_addr) != 1) {
    return base::Error{
        base::Code::kInvalidArgument, options.address + " is not an IPv4 address", {}};
  }
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return base::errno_error("connect to " + options.address, errno);
  }
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/// The size of the whole answer once its head is there, else 0.
std::size_t answer_size(const std::string& bytes) {
  const std::size_t head = bytes.find("\r\n\r\n");
  if (head == std::string::npos) return 0;
  const std::size_t field = bytes.find("\r\nContent-Length: ");
  if (field > head) return head + 4;
  return head + 4 + std::strtoul(bytes.c_str() + field + 18, nullptr, 10);
}

class Load {
 public:
  explicit Load(const LoadOptions& options)
      : options_(options), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

  base::Result<LoadResult> run() {
    connections_.resize(static_cast<std::size_t>(options_.connection_count));
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      ZORYA_ASSIGN(connections_[i].fd, connect_to(options_));
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connections_[i].fd.get(), &event);
    }
    const auto begin = Clock::now();
    measure_from_ = begin + options_.warm_up;
    const auto end = measure_from_ + options_.duration;
    for (Connection& connection : connections_) send(connection);
    while (Clock::now() < end && result_.failure_count < connections_.size()) wait_once();
    result_.seconds = std::chrono::duration<double>(Clock::now() - measure_from_).count();
    std::sort(result_.latencies_us.begin(), result_.latencies_us.end());
    return std::move(result_);
  }

 private:
  void wait_once() {
    epoll_event events[64];
    const int count = ::epoll_wait(epoll_.get(), events, 64, 100);
    for (int i = 0; i < count; ++i) receive(connections_[events[i].data.u64]);
  }

  void send(Connection& connection) {
    connection.answer.clear();
    connection.sent = Clock::now();
    std::string_view bytes = options_.request;
    while (!bytes.empty()) {
      const ssize_t sent = ::send(connection.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return fail(connection);
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  void receive(Connection& connection) {
    if (!connection.fd) return;
    char bytes[65536];
    const ssize_t got = ::recv(connection.fd.get(), bytes, sizeof bytes, 0);
    if (got <= 0) return fail(connection);
    connection.answer.append(bytes, static_cast<std::size_t>(got));
    const std::size_t size = answer_size(connection.answer);
    if (size == 0 || connection.answer.size() < size) return;
    const auto now = Clock::now();
    if (now >= measure_from_) {
      if (connection.answer.compare(9, 1, "2") == 0) {
        result_.latencies_us.push_back(
            std::chrono::duration<double, std::micro>(now - connection.sent).count());
      } else {
        ++result_.other_answer_count;
      }
    }
    send(connection);
  }

  void fail(Connection& connection) {
    ++result_.failure_count;
    connection.fd.reset();
  }

  const LoadOptions& options_;
  base::UniqueFd epoll_;
  std::vector<Connection> connections_;
  Clock::time_point measure_from_;
  LoadResult result_;
};

}  // namespace

base::Result<LoadResult> run_load(const LoadOptions& options) { return Load(options).run(); }

std::string to_json_members(const LoadOptions& options, const LoadResult& result) {
  const auto at = [&](double part) {
    if (result.latencies_us.empty()) return 0.0;
    const auto index =
        static_cast<std::size_t>(part * static_cast<double>(result.latencies_us.size()));
    return result.latencies_us[std::min(index, result.latencies_us.size() - 1)];
  };
  const auto count = static_cast<double>(result.latencies_us.size());
  char text[512];
  std::snprintf(text, sizeof text,
                "\"connections\": %d, \"requests\": %zu, \"other_answers\": %llu, \"failures\": "
                "%llu, \"per_second\": %.0f, \"min_us\": %.0f, \"p50_us\": %.0f, \"p95_us\": %.0f, "
                "\"p99_us\": %.0f, \"max_us\": %.0f",
                options.connection_count, result.latencies_us.size(),
                static_cast<unsigned long long>(result.other_answer_count),
                static_cast<unsigned long long>(result.failure_count),
                result.seconds > 0 ? count / result.seconds : 0.0, at(0), at(0.5), at(0.95),
                at(0.99), at(1));
  return text;
}

}  // namespace zorya::bench
