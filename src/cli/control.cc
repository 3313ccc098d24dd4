#include "cli/control.h"

#include "base/log.h"
#include "base/unique_fd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

namespace zorya::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxControlConnections = 16;
constexpr std::chrono::seconds kReadTimeout{10};

// A folder may be deeper than sun_path is long: the socket is named through the folder's
// descriptor.
struct SocketName {
  base::UniqueFd folder;
  sockaddr_un address{};
};

base::Result<SocketName> name_socket(const fs::path& data_folder) {
  SocketName name;
  name.folder.reset(::open(data_folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!name.folder) return base::errno_error("open " + data_folder.string(), errno);
  name.address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(name.folder.get()) + "/control.sock";
  std::memcpy(name.address.sun_path, path.c_str(), path.size() + 1);
  return name;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

bool wait_for(int fd, short events, Clock::time_point deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd one{fd, events, 0};
    const int ready = ::poll(&one, 1, static_cast<int>(std::min<long>(left, 1'000'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

base::Result<void> send_line(int fd, std::string_view line, Clock::time_point deadline) {
  std::string text(line);
  text += '\n';
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t sent = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLOUT, deadline)) {
        return base::Error{base::Code::kDeadlineExceeded, "write to the control socket", {}};
      }
    } else if (errno != EINTR) {
      return base::errno_error("write to the control socket", errno);
    }
  }
  return {};
}

// The line without its end. What came behind it is left in `rest`, and taken from there first.
base::Result<std::string> read_line(int fd, Clock::time_point deadline, std::string* rest) {
  std::string line;
  line.swap(*rest);
  std::size_t searched = 0;
  char buffer[65536];
  while (line.size() <= kMaxControlBytes) {
    if (const std::size_t end = line.find('\n', searched); end != std::string::npos) {
      *rest = line.substr(end + 1);
      line.resize(end);
      return line;
    }
    searched = line.size();
    if (!wait_for(fd, POLLIN, deadline)) {
      return base::Error{base::Code::kDeadlineExceeded, "read from the control socket", {}};
    }
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return base::errno_error("read from the control socket", errno);
    if (got == 0) {
      return base::Error{base::Code::kUnavailable, "the instance closed the control socket", {}};
    }
    line.append(buffer, static_cast<std::size_t>(got));
  }
  return base::Error{base::Code::kResourceExhausted, "a control line is too long", {}};
}

class Server final : public ControlServer {
 public:
  Server(fs::path path, base::UniqueFd listener, base::UniqueFd stop, Handler handler)
      : path_(std::move(path)),
        listener_(std::move(listener)),
        stop_(std::move(stop)),
        handler_(std::move(handler)),
        acceptor_([this] { accept_all(); }) {}

  ~Server() override {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(stop_.get(), &one, sizeof one);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      // No more is read; what is being answered is still sent.
      for (Connection& connection : connections_) ::shutdown(connection.fd.get(), SHUT_RD);
    }
    for (Connection& connection : connections_) connection.thread.join();
    ::unlink(path_.c_str());
  }

 private:
  struct Connection {
    base::UniqueFd fd{};
    std::thread thread{};
    bool done = false;  // under mutex_
  };

  void accept_all() {
    while (true) {
      pollfd both[2] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      if (::poll(both, 2, -1) < 0 && errno != EINTR) return;
      if ((both[1].revents & POLLIN) != 0) return;
      if ((both[0].revents & POLLIN) == 0) continue;
      base::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (fd) start(std::move(fd));
    }
  }

  void start(base::UniqueFd fd) {
    reap();
    if (connections_.size() >= kMaxControlConnections) {
      base::log(base::LogLevel::kWarning, "cli", "control socket: too many connections at once");
      return;
    }
    const std::lock_guard lock(mutex_);
    Connection& connection = connections_.emplace_back();
    connection.fd = std::move(fd);
    connection.thread = std::thread([this, &connection] { serve(connection); });
  }

  // Only the acceptor's thread changes the list; connections keep their place in it.
  void reap() {
    const std::lock_guard lock(mutex_);
    connections_.remove_if([](Connection& connection) {
      if (connection.done) connection.thread.join();
      return connection.done;
    });
  }

  void serve(Connection& connection) {
    std::string rest;
    const auto request = read_line(connection.fd.get(), Clock::now() + kReadTimeout, &rest);
    if (request) {
      const int fd = connection.fd.get();
      const std::string answer = handler_(*request, [fd](const std::string& line) {
        return send_line(fd, line, Clock::now() + kReadTimeout).has_value();
      });
      // Who asked may be gone: nobody to tell.
      (void)send_line(connection.fd.get(), answer, Clock::now() + kReadTimeout);
    }
    const std::lock_guard lock(mutex_);
    ::shutdown(connection.fd.get(), SHUT_RDWR);
    connection.done = true;
  }

  fs::path path_;
  base::UniqueFd listener_;
  base::UniqueFd stop_;
  Handler handler_;
  std::mutex mutex_;
  std::list<Connection> connections_;
  std::thread acceptor_;
};

}  // namespace

base::Result<std::unique_ptr<ControlServer>> ControlServer::start(const fs::path& data_folder,
                                                                  Handler handler) {
  const fs::path path = data_folder / "control.sock";
  ::unlink(path.c_str());  // of a killed predecessor: we hold the folder's lock
  ZORYA_ASSIGN(const SocketName name, name_socket(data_folder));
  base::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return base::errno_error("make the control socket", errno);
  const mode_t mask = ::umask(0177);
  const int bound = ::bind(listener.get(), generic(name.address), sizeof name.address);
  ::umask(mask);
  if (bound != 0 || ::listen(listener.get(), 16) != 0) {
    return base::errno_error("listen on " + path.string(), errno);
  }
  base::UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  if (!stop) return base::errno_error("make an event descriptor", errno);
  return std::unique_ptr<ControlServer>(
      new Server(path, std::move(listener), std::move(stop), std::move(handler)));
}

namespace {

base::Result<base::UniqueFd> connect_to(const fs::path& data_folder) {
  ZORYA_ASSIGN(const SocketName name, name_socket(data_folder));
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return base::errno_error("make a socket", errno);
  if (::connect(fd.get(), generic(name.address), sizeof name.address) != 0) {
    return base::Error{base::Code::kUnavailable, "no instance runs on " + data_folder.string(),
                       "zorya up DIR --data " + data_folder.string()};
  }
  return fd;
}

}  // namespace

bool is_instance_listening(const fs::path& data_folder) {
  return connect_to(data_folder).has_value();
}

base::Result<std::string> ask_instance(const fs::path& data_folder, std::string_view request,
                                       std::chrono::milliseconds timeout) {
  return follow_instance(data_folder, request, timeout, [](const std::string&) { return true; });
}

base::Result<std::string> follow_instance(
    const fs::path& data_folder, std::string_view request, std::chrono::milliseconds timeout,
    const std::function<bool(const std::string& line)>& is_answer) {
  ZORYA_ASSIGN(const base::UniqueFd fd, connect_to(data_folder));
  ZORYA_TRY(send_line(fd.get(), request, Clock::now() + timeout));
  std::string rest;
  while (true) {
    ZORYA_ASSIGN(std::string line, read_line(fd.get(), Clock::now() + timeout, &rest));
    if (is_answer(line)) return line;
  }
}

}  // namespace zorya::cli
