// up: an instance from its template, with all that is around it: lock, files, terminal, signals.
#include "base/files.h"
#include "base/log.h"
#include "cli/control.h"
#include "cli/instance.h"
#include "cli/render.h"
#include "cli/run.h"
#include "telemetry/reader.h"

#include <boost/json.hpp>
#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <thread>

namespace zorya::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr int kLogPauseMs = 150;
constexpr std::size_t kLogBatch = 500;

// Signals that end us are read from a descriptor. They are blocked before any thread starts, so
// that no thread gets them otherwise; base::Launcher unblocks them in children.
class StopSignals {
 public:
  static base::Result<StopSignals> take() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
    if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) {
      return base::errno_error("block signals", errno);
    }
    ::signal(SIGPIPE, SIG_IGN);
    base::UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) return base::errno_error("read signals", errno);
    return StopSignals(std::move(fd));
  }

  /// Whether one came within the time.
  [[nodiscard]] bool wait(int timeout_ms) const {
    pollfd one{fd_.get(), POLLIN, 0};
    if (::poll(&one, 1, timeout_ms) <= 0) return false;
    signalfd_siginfo info{};
    return ::read(fd_.get(), &info, sizeof info) == sizeof info;
  }

 private:
  explicit StopSignals(base::UniqueFd fd) : fd_(std::move(fd)) {}
  base::UniqueFd fd_;
};

// Prints what the functions log from now on.
class LiveLog {
 public:
  LiveLog(const fs::path& data_folder, Steps& steps, bool as_json)
      : steps_(steps), as_json_(as_json) {
    auto reader = telemetry::Reader::open(telemetry_file(data_folder));
    if (!reader) return;
    reader_ = std::move(*reader);
    telemetry::LogQuery newest;
    newest.limit = 1;
    newest.newest = true;
    if (const auto page = reader_->logs(newest)) cursor_ = page->cursor;
  }

  // A reader that stalls (a pipe nobody empties, a held terminal) holds up the lines and nothing
  // else.
  void print_new() {
    if (!reader_ || !steps_.is_writable()) return;
    telemetry::LogQuery query;
    query.after = cursor_;
    query.limit = kLogBatch;
    const auto page = reader_->logs(query);
    if (!page) return;
    cursor_ = page->cursor;
    for (const telemetry::LogEvent& event : page->events) steps_.line(short_line(event));
  }

 private:
  // A line that is written at once: a longer message is cut. `zorya logs` shows the whole.
  [[nodiscard]] std::string short_line(telemetry::LogEvent event) const {
    std::size_t length = Steps::kLineBytesMax;
    while (true) {
      std::string line = as_json_ ? log_json(event) : log_line(event);
      if (line.size() <= Steps::kLineBytesMax || length < 16) return line;
      length = std::min(length, event.message.size()) / 2;
      while (length > 0 && (event.message[length] & 0xC0) == 0x80) --length;  // inside a character
      event.message = event.message.substr(0, length) + "…";
    }
  }

  Steps& steps_;
  bool as_json_;
  std::unique_ptr<telemetry::Reader> reader_;
  telemetry::Cursor cursor_ = 0;
};

void say_where(const Instance& instance, const Program& program, Steps& steps) {
  const InstanceInfo info = instance.info();
  steps.line("");
  steps.line("  API       " + info.api_url);
  for (const ReachableCluster& cluster : info.dsql) {
    steps.line("  database  " + psql_line(cluster, info.ca_file, program));
  }
  for (const template_engine::Output& output : instance.outputs()) {
    steps.line("  output    " + output.name + " = " + output.value);
  }
  steps.line("  stop with Ctrl-C; the functions' logs follow");
  steps.line("");
}

// Files by which other processes find the instance; gone when it stops.
class Announcement {
 public:
  static base::Result<Announcement> make(const fs::path& data_folder, const fs::path& ready_file,
                                         const Instance& instance) {
    const InstanceInfo info = instance.info();
    Announcement announcement(data_folder / "instance.json", ready_file);
    ZORYA_TRY(base::write_file_atomically(announcement.instance_file_, instance_text(info), 0600));
    if (!ready_file.empty()) {
      const iam::AccessKey key = instance.admin_key();
      ZORYA_TRY(base::write_file_atomically(
          ready_file, ready_text(info, {key.access_key_id, key.secret_access_key}), 0600));
    }
    return announcement;
  }
  void withdraw() const {
    std::error_code ignored;
    fs::remove(instance_file_, ignored);
    if (!ready_file_.empty()) fs::remove(ready_file_, ignored);
  }

 private:
  Announcement(fs::path instance_file, fs::path ready_file)
      : instance_file_(std::move(instance_file)), ready_file_(std::move(ready_file)) {}
  fs::path instance_file_;
  fs::path ready_file_;
};

// While the instance starts: the first signal asks it to stop, the second ends the process at once.
class StartWatch {
 public:
  explicit StartWatch(const StopSignals& signals)
      : thread_([this, &signals] {
          while (!done_) {
            if (signals.wait(50) && stop_.exchange(true)) ::_exit(130);
          }
        }) {}
  ~StartWatch() { end(); }
  // Takes no more signals: one that came before is in is_stopped(), a later one is the caller's.
  // None is lost between.
  void end() {
    done_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] bool is_stopped() const { return stop_; }

 private:
  std::atomic<bool> done_{false};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// While it stops: another signal, or a stop that hangs, ends the process at once; children die with
// it.
class StopWatch {
 public:
  explicit StopWatch(const StopSignals& signals)
      : thread_([this, &signals] {
          for (int waited_ms = 0; !done_; waited_ms += 50) {
            if (signals.wait(50) || waited_ms > 30'000) ::_exit(130);
          }
        }) {}
  ~StopWatch() {
    done_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;
};

base::Result<std::unique_ptr<Instance>> start_instance(const UpArguments& arguments,
                                                       const fs::path& template_file,
                                                       DataFolder& folder,
                                                       const StopSignals& signals, Steps& steps) {
  Instance::Options options;
  options.arguments = arguments;
  options.template_file = template_file;
  options.library_folder = fs::weakly_canonical(base::program_folder() / "../lib/zorya");
  StartWatch watch(signals);
  options.should_stop = [&watch] { return watch.is_stopped(); };
  auto instance = Instance::start(std::move(options), folder, steps);
  watch.end();
  if (!watch.is_stopped()) return instance;
  return base::Error{base::Code::kUnavailable, "stopped before it was ready", {}};
}

base::Result<void> serve(const Common& common, const UpArguments& arguments,
                         const StopSignals& signals, Steps& steps) {
  // What cannot be found is said before anything is made.
  ZORYA_ASSIGN(const fs::path found, template_engine::find_template(arguments.folder_or_template));
  const fs::path template_file = fs::absolute(found).lexically_normal();
  ZORYA_ASSIGN(auto folder, DataFolder::take(common.data_folder));
  ZORYA_ASSIGN(auto instance, start_instance(arguments, template_file, folder, signals, steps));
  LiveLog log(common.data_folder, steps, common.json);
  ZORYA_ASSIGN(auto control, ControlServer::start(common.data_folder,
                                                  [&](const std::string& request, const auto& say) {
                                                    return instance->answer(request, say);
                                                  }));
  ZORYA_ASSIGN(const auto announcement,
               Announcement::make(common.data_folder, arguments.ready_file, *instance));
  const Program program{base::program_folder() / "zorya", common.data_folder,
                        common.data_folder == default_data_folder(surroundings_of_process())};
  if (common.json) {
    steps.line(
        json::serialize(json::object{{"ready", json::parse(instance_text(instance->info()))}}));
  } else {
    say_where(*instance, program, steps);
  }
  while (!signals.wait(kLogPauseMs)) log.print_new();
  const StopWatch watch(signals);
  Steps::Step step = steps.begin("stop");
  announcement.withdraw();
  instance->stop_waiting();
  control.reset();
  instance.reset();
  log.print_new();
  step.done();
  return {};
}

}  // namespace

int run_up(const Common& common, const UpArguments& arguments) {
  auto signals = StopSignals::take();
  if (!signals) return fail(common, signals.error());
  Steps steps(common.json ? Steps::Form::kJson : Steps::Form::kText);
  const auto served = serve(common, arguments, *signals, steps);
  return served ? 0 : fail(common, served.error());
}

}  // namespace zorya::cli
