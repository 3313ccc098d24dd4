#pragma once

#include "base/result.h"
#include "function_host/client.h"
#include "function_host/host.h"
#include "function_host/runtimes.h"
#include "function_host/version.h"

#include <filesystem>
#include <memory>
#include <string>

namespace zorya::function_host {

/// Makes versions on disk: functions/<name>/<number>/{code,fingerprint}. The same code and
/// configuration as the newest version is that version again, as PublishVersion has it; numbers are
/// never used twice, not even after a restart. One thread at a time.
class Publisher {
 public:
  Publisher(const Options& options, Runtimes& runtimes) : options_(options), runtimes_(runtimes) {}

  /// Copies the code, prepares the runtime. Blocks, up to minutes. Errors are for the user.
  base::Result<std::shared_ptr<Version>> prepare(const FunctionSpec& spec);

  /// Removes versions of `function` older than the newest two: nothing serves them any more.
  void remove_old(const std::string& function, const std::filesystem::path& current_code);

 private:
  base::Result<std::filesystem::path> copy_code(const FunctionSpec& spec, int& number);

  const Options& options_;
  Runtimes& runtimes_;
  unsigned next_uid_ = 0;
};

}  // namespace zorya::function_host
