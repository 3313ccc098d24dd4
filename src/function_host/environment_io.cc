// The other addresses and pipes of an environment: database, traces, names, output, control.

#include "base/log.h"
#include "function_host/environment.h"
#include "function_host/name_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <utility>

namespace zorya::function_host {
namespace {

constexpr std::size_t kLogBytesAtOnce = 1u << 20;  // then others get their turn
constexpr int kDatagramsAtOnce = 64;
/// A socket that was shut down gives empty reads for ever, and would keep the loop busy.
constexpr const char* kShutSocket = "a socket of the environment was shut down";
constexpr std::size_t kRefusedNamesMax = 64;

/// Counts one for as long as it lives.
std::shared_ptr<void> take_lease(const std::shared_ptr<std::atomic<int>>& count) {
  ++*count;
  return {nullptr, [count](void*) { --*count; }};
}

}  // namespace

void Environment::accept_database() {
  for (;;) {
    base::UniqueFd fd(::accept4(sandbox_.listeners[kDatabaseListener].get(), nullptr, nullptr,
                                SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return after_failed_accept();
    if (!context_.options.on_database_connection) continue;
    if (*database_connections_ >= context_.options.database_connections_max) {
      if (!std::exchange(database_refusal_logged_, true)) {
        base::log(base::LogLevel::kWarning, "function_host",
                  origin() + " has " + std::to_string(context_.options.database_connections_max) +
                      " database connections open in one environment: more are closed at once");
      }
      continue;
    }
    const int one = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    context_.options.on_database_connection(std::move(fd), origin(),
                                            take_lease(database_connections_));
  }
}

void Environment::read_traces() {
  std::array<char, 65536> buffer;
  int empty = 0;
  for (int round = 0; round < kDatagramsAtOnce; ++round) {
    const ssize_t n =
        ::recv(sandbox_.listeners[kTraceSocket].get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0) return;
    if (n == 0) ++empty;
    auto document = document_of_datagram({buffer.data(), static_cast<std::size_t>(n)});
    if (document) context_.options.sink->segment(std::move(*document));
  }
  if (empty == kDatagramsAtOnce) on_exit(SIGKILL, kShutSocket);
}

void Environment::answer_names() {
  std::array<char, 1500> buffer;
  int empty = 0;
  for (int round = 0; round < kDatagramsAtOnce; ++round) {
    sockaddr_in from{};
    socklen_t from_size = sizeof from;
    const int fd = sandbox_.listeners[kNameSocket].get();
    const ssize_t n = ::recvfrom(fd, buffer.data(), buffer.size(), MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&from), &from_size);
    if (n < 0) return;
    if (n == 0 && ++empty == kDatagramsAtOnce) return on_exit(SIGKILL, kShutSocket);
    const NameAnswer answer =
        answer_name_query({buffer.data(), static_cast<std::size_t>(n)}, context_.options.region);
    if (answer.datagram.empty()) continue;
    ::sendto(fd, answer.datagram.data(), answer.datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
             reinterpret_cast<sockaddr*>(&from), from_size);
    if (answer.known || refused_names_.size() >= kRefusedNamesMax) continue;
    if (!refused_names_.insert(answer.name).second) continue;
    base::log(base::LogLevel::kWarning, "function_host",
              origin() + " asked for host " + json_quote(answer.name) +
                  ", which does not exist for it: an environment reaches DSQL clusters only");
  }
}

void Environment::read_log() {
  if (!log_open_) return;
  std::array<char, 65536> buffer;
  for (std::size_t seen = 0; seen < kLogBytesAtOnce;) {
    const ssize_t n = ::read(sandbox_.log.get(), buffer.data(), buffer.size());
    if (n < 0) return;
    if (n == 0) {  // every writer is gone
      log_open_ = false;
      context_.loop.unwatch(sandbox_.log.get());
      log_.flush_partial();
      return;
    }
    log_.append_output({buffer.data(), static_cast<std::size_t>(n)});
    seen += static_cast<std::size_t>(n);
  }
}

bool Environment::read_control_message() {
  const ControlMessage message =
      receive_control(sandbox_.control.get(), std::chrono::milliseconds(0));
  const std::string& bytes = message.bytes;
  if (bytes.empty()) return false;
  if (bytes[0] == 'W' && bytes.size() == 1 + sizeof(int)) {
    int status = 0;
    std::memcpy(&status, bytes.data() + 1, sizeof status);
    on_exit(status, {});
  } else if (bytes[0] == 'E') {
    StartFailure failure;
    failure.error_type = "Runtime.InvalidEntrypoint";
    failure.message = bytes.substr(1);
    failure.reason = bytes.substr(1);
    fail_start(std::move(failure));
  } else if (bytes[0] == 'U' && kind_ == EnvironmentKind::kTemplate && state_ == State::kInit) {
    owner_.template_ready(*this, message.sender);
  }
  return true;
}

void Environment::on_control() {
  if (!read_control_message()) context_.loop.unwatch(sandbox_.control.get());
}

void Environment::on_pid1_end() {
  context_.loop.unwatch(sandbox_.pidfd.get());
  // Its last word may still lie in the socket, behind what the function sent: all of it is there,
  // for every sender died with pid 1.
  while (state_ != State::kParked && read_control_message()) {
  }
  on_exit(SIGKILL, "pid 1 of the environment was killed");
}

}  // namespace zorya::function_host
