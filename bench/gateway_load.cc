// gateway_load: what the gateway adds to a request: the same load as http_load, on a gateway whose
// function host answers at once, from a thread of its own as the real one does. JSON.
#include "gateway/gateway.h"

#include "http_load.h"

#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

namespace {

using namespace zorya;

class InstantHost final : public function_host::FunctionHost {
 public:
  InstantHost() : thread_([this] { run(); }) {}
  ~InstantHost() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  void publish(function_host::FunctionSpec,
               std::function<void(base::Result<function_host::VersionInfo>)>) override {}
  void remove(std::string, std::function<void()>) override {}
  void invoke(function_host::InvokeRequest,
              std::function<void(function_host::InvokeResult)> done) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(done));
    }
    wake_.notify_one();
  }
  [[nodiscard]] function_host::HostStatus status() const override { return {}; }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const auto done = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      function_host::InvokeResult result;
      result.payload = R"({"statusCode":200,"headers":{"Content-Type":"application/json"},)"
                       R"("body":"{\"todos\":[],\"next\":null}"})";
      done(std::move(result));
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void(function_host::InvokeResult)>> waiting_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace

int main() {
  InstantHost host;
  gateway::Options options;
  options.host = &host;
  auto gateway = gateway::Gateway::start(options);
  if (!gateway) {
    std::fprintf(stderr, "%s\n", to_string(gateway.error()).c_str());
    return 1;
  }
  template_engine::RestApi api;
  api.id = "abcdefghij";
  api.tracing_enabled = true;
  api.routes.push_back({"GET", "/todos/{id}", "F"});
  (*gateway)->set_apis({api});
  bench::LoadOptions load;
  load.port = (*gateway)->port();
  load.request =
      "GET /todos/0b0f9f9e-3c1d-4f5e-9d7a-6b1f1c1c1c1c?limit=10 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
      "User-Agent: gateway_load\r\nAccept: */*\r\n\r\n";
  for (const int count : {1, 8}) {
    load.connection_count = count;
    const auto result = bench::run_load(load);
    if (!result) {
      std::fprintf(stderr, "%s\n", to_string(result.error()).c_str());
      return 1;
    }
    std::printf("{\"what\": \"gateway with an instant function host\", %s}\n",
                to_json_members(load, *result).c_str());
    std::fflush(stdout);
  }
  return 0;
}
