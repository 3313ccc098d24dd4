#include "function_host/runtimes.h"

#include <unistd.h>

#include <utility>

namespace zorya::function_host {
namespace {

using base::Code;
using base::Error;
using base::Result;

class HostRuntimes final : public Runtimes {
 public:
  explicit HostRuntimes(Options options) : options_(std::move(options)) {}

  Result<RuntimeImage> prepare(const FunctionSpec& spec,
                               const std::filesystem::path& code_folder) override {
    if (spec.runtime == "provided.al2023") return prepare_provided(spec, code_folder);
    return Error{Code::kUnimplemented, "runtime " + spec.runtime + " is not supported",
                 "supported: provided.al2023"};
  }

 private:
  static Result<RuntimeImage> prepare_provided(const FunctionSpec& spec,
                                               const std::filesystem::path& code_folder) {
    if (spec.snap_start != SnapStart::kNone) {
      return Error{Code::kInvalidArgument,
                   spec.runtime + " is not supported for SnapStart enabled functions.", ""};
    }
    const auto bootstrap = code_folder / "bootstrap";
    if (::access(bootstrap.c_str(), X_OK) != 0) {
      return Error{Code::kInvalidArgument,
                   "function " + spec.name + ": no executable file bootstrap in its code",
                   "provided.al2023 starts /var/task/bootstrap"};
    }
    RuntimeImage image;
    image.argv = {"/var/task/bootstrap"};
    image.description = "provided:al2023";
    return image;
  }

  Options options_;
};

}  // namespace

Result<std::unique_ptr<Runtimes>> make_runtimes(Runtimes::Options options) {
  return std::unique_ptr<Runtimes>(std::make_unique<HostRuntimes>(std::move(options)));
}

}  // namespace zorya::function_host
