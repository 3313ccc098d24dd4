#pragma once

#include "base/workers.h"
#include "function_host/cgroup.h"
#include "function_host/client.h"
#include "function_host/event_loop.h"
#include "function_host/host.h"
#include "function_host/log_stream.h"
#include "function_host/runtime_http.h"
#include "function_host/sandbox.h"
#include "function_host/trace.h"
#include "function_host/version.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace zorya::function_host {

/// What every environment borrows from the host, which outlives them all.
struct HostContext {
  EventLoop& loop;
  base::Workers& workers;
  const SandboxMaker& maker;
  const Options& options;
  Cgroups* cgroups;  // null: not in use
};

/// One invoke on its way. `done` is called exactly once, on the loop's thread.
struct Invocation {
  InvokeRequest request;
  std::function<void(InvokeResult)> done;
  std::string request_id;
  InvokeTrace trace;
  std::chrono::system_clock::time_point requested;
};

/// Why an environment never served: what the invoke that waits for it is told.
struct StartFailure {
  PhaseStatus status = PhaseStatus::kError;
  std::string error_type;  // "Runtime.ExitError", …
  std::string payload;     // the runtime's own error object, or empty
  std::string message;     // for an error object of ours: what follows "RequestId: … "
  int wait_status = -1;    // of the runtime, if it exited
  std::string reason;      // what the service would not tell
  bool retry = false;      // INIT may be tried once more, under the invoke
};

class Environment;

/// Who keeps environments. All calls on the loop's thread; none may destroy the environment.
class EnvironmentOwner {
 public:
  virtual ~EnvironmentOwner() = default;
  /// It waits for work: call invoke().
  virtual void environment_ready(Environment& environment) = 0;
  /// A template is done with INIT and waits to be cloned; `runtime_pid` as this machine sees it.
  virtual void template_ready(Environment& environment, pid_t runtime_pid) = 0;
  /// It failed before it served, and is ending.
  virtual void environment_failed(Environment& environment, StartFailure failure) = 0;
  /// It can serve no more, and is ending.
  virtual void environment_lost(Environment& environment) = 0;
  /// Nothing of it is left; may be destroyed after this call.
  virtual void environment_gone(Environment& environment) = 0;
};

enum class EnvironmentKind {
  kOnDemand,  // INIT, then invokes
  kTemplate,  // INIT, then clones
  kClone,     // restored, then invokes
};

/// One execution environment: a sandbox, the Runtime API and the other addresses it sees, its log,
/// its limits. Lives on the loop's thread; every descriptor of it belongs to this object.
class Environment {
 public:
  enum class State { kInit, kParked, kRestoring, kIdle, kBusy, kResponded, kEnding };

  Environment(const HostContext& context, std::shared_ptr<const Version> version,
              EnvironmentOwner& owner, EnvironmentKind kind);
  ~Environment();

  /// Takes a started sandbox over; INIT has `limit`.
  void begin_init(Sandbox sandbox, Cgroup cgroup, std::chrono::nanoseconds limit);
  /// As begin_init, under an invoke whose timeout binds INIT too; it is served when INIT is done.
  void begin_init_for(std::unique_ptr<Invocation> invocation);
  /// Takes a parked clone over.
  void park(Sandbox sandbox, Cgroup cgroup);
  /// A parked clone goes on: reseed, after-restore hooks, next.
  void restore();
  /// Serves one invoke; only when ready.
  void invoke(std::unique_ptr<Invocation> invocation);
  /// Template: let it wait for clone commands.
  void accept_template();
  /// Template: makes no more clones and leaves; its pid 1 stays for the clones there are.
  void dismiss_template();
  /// Ends it, whatever it does. The invoke under way, if any, has been answered before.
  void end();

  /// Looks at its memory and ends it if it has too much. Cheap while it has little.
  void check_memory();

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] EnvironmentKind kind() const { return kind_; }
  [[nodiscard]] const Sandbox& sandbox() const { return sandbox_; }
  [[nodiscard]] const Version& version() const { return *version_; }
  [[nodiscard]] EventLoop::Time idle_since() const { return idle_since_; }
  [[nodiscard]] EventLoop::Time responded_at() const { return responded_at_; }
  [[nodiscard]] std::chrono::nanoseconds init_duration() const { return preparation_; }
  [[nodiscard]] std::chrono::system_clock::time_point credentials_expire() const {
    return credentials_expire_;
  }
  void set_credentials_expire(std::chrono::system_clock::time_point time) {
    credentials_expire_ = time;
  }
  [[nodiscard]] const std::string& stream() const { return log_.stream(); }

 private:
  struct Connection {
    base::UniqueFd fd;
    RuntimeRequestReader reader;
    std::string out;
    bool close_when_sent = false;
    bool dead = false;
  };

  void attach(Sandbox sandbox, Cgroup cgroup);
  void watch_all();
  void start_timer(std::chrono::nanoseconds limit, void (Environment::*handler)());
  void stop_timer();

  // The Runtime API (environment_api.cc).
  void accept_connections();
  void after_failed_accept();
  void on_connection(Connection& connection, std::uint32_t events);
  bool read_requests(Connection& connection);
  void close_connection(Connection& connection);
  void send(Connection& connection, std::string bytes);
  void send_error(Connection& connection, int status, std::string_view type,
                  std::string_view message);
  void handle(Connection& connection, RuntimeRequest& request);
  void handle_next(Connection& connection);
  void handle_restore_next(Connection& connection);
  void handle_invocation(Connection& connection, RuntimeRequest& request, std::string_view rest);
  void handle_init_error(Connection& connection, const RuntimeRequest& request, bool restore_error);
  void handle_credentials(Connection& connection, const RuntimeRequest& request);
  void send_event(Connection& connection);

  // The other addresses and pipes (environment_io.cc).
  void accept_database();
  void read_traces();
  void answer_names();
  void read_log();
  bool read_control_message();  // false if there is none
  void on_control();
  void on_pid1_end();

  void on_exit(int wait_status, std::string reason);
  void on_start_timeout();
  void on_invoke_timeout();
  void on_next_overdue();
  void become_ready();
  void serve();
  void fail_start(StartFailure failure);
  void finish(PhaseStatus status, std::string_view error_type, std::string payload,
              std::string function_error, std::string reason);
  void emit_trace(bool fault, std::string_view payload);
  [[nodiscard]] std::string phase() const;
  [[nodiscard]] std::string origin() const;

  HostContext context_;
  std::shared_ptr<const Version> version_;
  EnvironmentOwner& owner_;
  EnvironmentKind kind_;
  State state_ = State::kInit;
  Sandbox sandbox_;
  Cgroup cgroup_;
  LogStream log_;
  bool watched_ = false;
  bool log_open_ = false;

  std::list<Connection> connections_;
  Connection* waiting_ = nullptr;  // in next
  std::set<std::string> refused_names_;
  // Connections to the database that are open; whoever serves them counts down from its thread.
  std::shared_ptr<std::atomic<int>> database_connections_ = std::make_shared<std::atomic<int>>(0);
  bool database_refusal_logged_ = false;

  EventLoop::TimerId timer_ = 0;
  EventLoop::Time phase_began_{};
  EventLoop::Time idle_since_{};
  EventLoop::Time responded_at_{};
  std::chrono::nanoseconds preparation_{0};  // of INIT or restore
  std::chrono::nanoseconds hooks_{0};        // of a restore: from GO on
  bool preparation_reported_ = false;
  std::chrono::system_clock::time_point credentials_expire_ =
      std::chrono::system_clock::time_point::max();

  std::unique_ptr<Invocation> invocation_;
  bool init_under_invoke_ = false;
  EventLoop::Time invoke_began_{};
  std::chrono::system_clock::time_point invoke_began_wall_{};
  std::int64_t memory_bytes_max_ = 0;
};

}  // namespace zorya::function_host
