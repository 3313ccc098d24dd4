#pragma once

#include "base/launcher.h"
#include "base/unique_fd.h"

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

namespace zorya::function_host {

/// The launcher as workers see it: what they run ends when the host does, in the middle of an
/// install of packages too.
class StoppableLauncher final : public base::Launcher {
 public:
  StoppableLauncher(base::Launcher& launcher, base::UniqueFd stop)
      : launcher_(launcher), stop_(std::move(stop)) {}

  void stop() const {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(stop_.get(), &one, sizeof one);
  }
  base::Result<base::Child> start(base::ChildSpec spec) override {
    return launcher_.start(std::move(spec));
  }
  base::Result<base::CommandResult> run(base::ChildSpec spec,
                                        std::chrono::milliseconds timeout) override {
    spec.stop_fd = stop_.get();
    return launcher_.run(std::move(spec), timeout);
  }
  void run_on_thread(const std::function<void()>& function) override {
    launcher_.run_on_thread(function);
  }

 private:
  base::Launcher& launcher_;
  base::UniqueFd stop_;  // an event: readable for ever once stop() was called
};

}  // namespace zorya::function_host
