#include "function_host/sandbox.h"

#include "base/files.h"
#include "base/log.h"
#include "function_host/filter.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

namespace zorya::function_host {
namespace {

using base::Code;
using base::Error;
using base::Result;
using base::UniqueFd;
using std::chrono::milliseconds;

constexpr milliseconds kStepTimeout{10'000};

struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};

Result<SocketPair> make_control_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return base::errno_error("start environment: socketpair", errno);
  }
  SocketPair pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
  const int one = 1;
  ::setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof one);
  const int size_bytes = 2 * ZORYA_MESSAGE_BYTES_MAX;
  ::setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size_bytes, sizeof size_bytes);
  return pair;
}

/// {to read, non-blocking; to write}
Result<std::pair<UniqueFd, UniqueFd>> make_log_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return base::errno_error("start environment: pipe", errno);
  std::pair pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return pipe;
}

void add_record(std::string& message, char tag, std::string_view bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  message.push_back(tag);
  message.append(reinterpret_cast<const char*>(&size), sizeof size);
  message.append(bytes);
}

std::string zero_terminated(std::string_view a) { return std::string(a) + '\0'; }

/// What programs of a distribution need to start at all. Secrets of /etc stay out.
std::vector<Mount> system_mounts() {
  std::vector<Mount> mounts{{"/usr", "/usr"}};
  for (const char* folder : {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}) {
    struct stat st {};
    if (::lstat(folder, &st) == 0 && S_ISDIR(st.st_mode)) mounts.push_back({folder, folder});
  }
  for (const char* path : {"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/alternatives",
                           "/etc/ssl/openssl.cnf", "/etc/mime.types"}) {
    if (::access(path, R_OK) == 0) mounts.push_back({path, path});
  }
  return mounts;
}

void add_system_links(std::string& message) {
  for (const char* folder : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    char target[256];
    const std::string path = std::string("/") + folder;
    const ssize_t n = ::readlink(path.c_str(), target, sizeof target);
    if (n <= 0) continue;
    add_record(message, ZORYA_REC_LINK,
               zero_terminated(path) +
                   zero_terminated(std::string_view(target, static_cast<std::size_t>(n))));
  }
  add_record(message, ZORYA_REC_LINK,
             zero_terminated("/dev/fd") + zero_terminated("/proc/self/fd"));
}

std::string start_message(const SandboxSpec& spec, const std::filesystem::path& tinit,
                          std::string_view filter) {
  zorya_start_header header{};
  header.map_uid = spec.map_uid;
  header.map_gid = spec.map_gid;
  header.as_root = ::geteuid() == 0 ? 1 : 0;
  header.is_template = spec.is_template ? 1 : 0;
  header.tmp_mb = static_cast<std::uint32_t>(spec.tmp_mb);
  header.process_count_max = spec.process_count_max;
  std::string message(reinterpret_cast<const char*>(&header), sizeof header);
  std::vector<Mount> mounts = system_mounts();
  mounts.push_back({tinit, "/tinit"});
  mounts.insert(mounts.end(), spec.mounts.begin(), spec.mounts.end());
  for (const Mount& mount : mounts) {
    add_record(message, ZORYA_REC_MOUNT,
               zero_terminated(mount.host.native()) + zero_terminated(mount.inside));
  }
  add_system_links(message);
  for (const auto& [path, content] : spec.files) {
    add_record(message, ZORYA_REC_FILE, zero_terminated(path) + content);
  }
  for (const auto& argument : spec.argv) {
    add_record(message, ZORYA_REC_ARG, zero_terminated(argument));
  }
  for (const auto& entry : spec.environment) {
    add_record(message, ZORYA_REC_ENV, zero_terminated(entry));
  }
  add_record(message, ZORYA_REC_FILTER, filter);
  return message;
}

Result<void> send_control(int socket, std::string_view bytes, std::initializer_list<int> fds = {}) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int) * 4)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fds.size() > 0) {
    message.msg_control = space;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), std::data(fds), sizeof(int) * fds.size());
  }
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    return base::errno_error("start environment: send", errno);
  }
  return {};
}

Error control_error(std::string_view doing, const ControlMessage& message) {
  std::string text(doing);
  if (message.bytes.empty()) {
    text += ": it ended without a word";
  } else {
    text += ": " + message.bytes.substr(1);
  }
  return Error{Code::kUnavailable, std::move(text), ""};
}

/// A template's INIT may be hostile and hand over anything: what is no listener of the right kind
/// would stop the host's loop or keep it busy for ever.
bool is_listener(int fd, std::size_t index) {
  int type = 0;
  int family = 0;
  int accepts = 0;
  socklen_t size = sizeof type;
  const bool stream = index == kRuntimeApiListener || index == kDatabaseListener;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0 ||
      ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size) != 0) {
    return false;
  }
  if (family != AF_INET || type != (stream ? SOCK_STREAM : SOCK_DGRAM) ||
      (stream && accepts == 0)) {
    return false;
  }
  return ::fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/// The part that a start and a clone have in common: pid 1 reports, is placed, hands over
/// listeners.
Result<void> meet_pid1(Sandbox& sandbox, const PlaceSandbox& place,
                       const std::function<Result<void>()>& before_go) {
  ControlMessage message = receive_control(sandbox.control.get(), kStepTimeout);
  if (message.bytes != "M") return control_error("start environment", message);
  sandbox.pid = message.sender;
  // It waits for our answer, so its number is still its own.
  sandbox.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, message.sender, 0)));
  if (!sandbox.pidfd) return base::errno_error("start environment: pidfd_open", errno);
  ::fcntl(sandbox.pidfd.get(), F_SETFD, FD_CLOEXEC);
  if (place) ZORYA_TRY(place(sandbox.pid));
  ZORYA_TRY(before_go());
  ZORYA_TRY(send_control(sandbox.control.get(), "m"));
  message = receive_control(sandbox.control.get(), kStepTimeout);
  if (message.bytes != "L" || message.descriptors.size() != ZORYA_LISTENER_COUNT) {
    return control_error("start environment", message);
  }
  for (std::size_t i = 0; i < ZORYA_LISTENER_COUNT; ++i) {
    if (!is_listener(message.descriptors[i].get(), i)) {
      return Error{Code::kInvalidArgument, "start environment: its listeners are none", ""};
    }
    sandbox.listeners[i] = std::move(message.descriptors[i]);
  }
  return {};
}

}  // namespace

ControlMessage receive_control(int socket, milliseconds timeout) {
  ControlMessage result;
  pollfd wait{socket, POLLIN, 0};
  if (::poll(&wait, 1, static_cast<int>(timeout.count())) <= 0) return result;
  std::string buffer(8192, '\0');
  alignas(cmsghdr) char space[512];
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  const ssize_t n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n <= 0) return result;
  result.bytes.assign(buffer.data(), static_cast<std::size_t>(n));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET) continue;
    if (header->cmsg_type == SCM_RIGHTS) {
      const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < count; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
        result.descriptors.emplace_back(fd);
      }
    } else if (header->cmsg_type == SCM_CREDENTIALS) {
      ucred credentials{};
      std::memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
      result.sender = credentials.pid;
    }
  }
  return result;
}

Result<SandboxMaker> SandboxMaker::create(base::Launcher& launcher,
                                          const std::filesystem::path& library_folder) {
  const auto tinit = library_folder / "tinit";
  if (::access(tinit.c_str(), X_OK) != 0) {
    return base::errno_error("function host: " + tinit.string(), errno);
  }
  SandboxMaker maker(launcher, tinit);
  ZORYA_ASSIGN(maker.environment_filter_, make_filter(FilterKind::kEnvironment));
  ZORYA_ASSIGN(maker.template_filter_, make_filter(FilterKind::kTemplate));
  return maker;
}

Result<Sandbox> SandboxMaker::start(const SandboxSpec& spec, const PlaceSandbox& place) const {
  ZORYA_ASSIGN(SocketPair control, make_control_pair());
  ZORYA_ASSIGN(auto log, make_log_pipe());
  const std::string message =
      start_message(spec, tinit_, spec.is_template ? template_filter_ : environment_filter_);
  if (message.size() > ZORYA_MESSAGE_BYTES_MAX) {
    return Error{Code::kInvalidArgument, "start environment: too many variables or mounts", ""};
  }
  base::ChildSpec child;
  child.argv = {tinit_.string(), "stage"};
  child.descriptors = {
      {control.theirs.get(), ZORYA_CONTROL_FD}, {log.second.get(), 1}, {log.second.get(), 2}};
  Sandbox sandbox;
  sandbox.is_child = true;
  sandbox.control = std::move(control.ours);
  sandbox.log = std::move(log.first);
  ZORYA_ASSIGN(base::Child stage, launcher_->start(std::move(child)));
  control.theirs.reset();
  log.second.reset();
  ZORYA_TRY(send_control(sandbox.control.get(), message));
  auto met = meet_pid1(sandbox, place, [] { return Result<void>(); });
  ControlMessage ready;
  if (met) {
    ready = receive_control(sandbox.control.get(), kStepTimeout);
    if (ready.bytes != "R") met = control_error("start environment", ready);
  }
  // pid 1 dies with us from here on (PDEATHSIG), or is told to leave by the closed socket.
  if (met) met = send_control(sandbox.control.get(), "r");
  stage.wait_for(kStepTimeout);
  if (!met) {
    if (sandbox.pid != 0) end_sandbox(sandbox);
    return std::move(met).error();
  }
  return sandbox;
}

Result<Sandbox> SandboxMaker::clone(const Sandbox& from, char tmp_mode, int tmp_mb,
                                    unsigned process_count_max, const PlaceSandbox& place) const {
  ZORYA_ASSIGN(SocketPair control, make_control_pair());
  ZORYA_ASSIGN(auto log, make_log_pipe());
  zorya_clone_command command{};
  command.op = ZORYA_OP_CLONE;
  command.process_count_max = process_count_max;
  std::string message(reinterpret_cast<const char*>(&command), sizeof command);
  message += environment_filter_;
  ZORYA_TRY(send_control(from.control.get(), message, {control.theirs.get(), log.second.get()}));
  control.theirs.reset();
  log.second.reset();
  Sandbox sandbox;
  sandbox.control = std::move(control.ours);
  sandbox.log = std::move(log.first);
  auto met = meet_pid1(sandbox, place, [&] { return make_mounts(sandbox, tmp_mode, tmp_mb); });
  if (met) {
    const ControlMessage parked = receive_control(sandbox.control.get(), kStepTimeout);
    if (parked.bytes != "P") met = control_error("clone environment", parked);
    sandbox.runtime_pid = parked.sender;
  }
  if (!met) {
    if (sandbox.pidfd) end_sandbox(sandbox);
    return std::move(met).error();
  }
  return sandbox;
}

Result<void> SandboxMaker::make_mounts(const Sandbox& sandbox, char tmp_mode, int tmp_mb) const {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return base::errno_error("clone environment: pipe", errno);
  UniqueFd to_read(fds[0]);
  UniqueFd to_write(fds[1]);
  base::ChildSpec child;
  child.argv = {tinit_.string(), "mounts", std::string(1, tmp_mode), std::to_string(tmp_mb),
                ::geteuid() == 0 ? "r" : "u"};
  child.descriptors = {{sandbox.pidfd.get(), ZORYA_CONTROL_FD}, {to_write.get(), 1}};
  ZORYA_ASSIGN(base::Child helper, launcher_->start(std::move(child)));
  to_write.reset();
  const auto status = helper.wait_for(kStepTimeout);
  if (status && *status == 0) return {};
  char text[256] = {};
  ::fcntl(to_read.get(), F_SETFL, O_NONBLOCK);
  [[maybe_unused]] const ssize_t n = ::read(to_read.get(), text, sizeof text - 1);
  return Error{Code::kUnavailable, std::string("clone environment: ") + text, ""};
}

void end_sandbox(Sandbox& sandbox) {
  if (!sandbox.pidfd) return;
  ::syscall(SYS_pidfd_send_signal, sandbox.pidfd.get(), SIGKILL, nullptr, 0);
  pollfd wait{sandbox.pidfd.get(), POLLIN, 0};
  if (::poll(&wait, 1, static_cast<int>(kStepTimeout.count())) <= 0) {
    base::log(base::LogLevel::kError, "function_host",
              "environment with pid " + std::to_string(sandbox.pid) + " did not end when killed");
  }
  if (sandbox.is_child) ::waitpid(sandbox.pid, nullptr, WNOHANG);
  sandbox.pidfd.reset();
}

}  // namespace zorya::function_host
