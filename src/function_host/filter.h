#pragma once

#include "base/result.h"

#include <string>

namespace zorya::function_host {

/// What a process inside an environment may ask of the kernel.
enum class FilterKind {
  kEnvironment,  // tenant code that serves requests
  kTemplate,  // tenant code during INIT under SnapStart: one clone(2) flag word and one interface
              // ioctl more, which is how a template makes its clones
};

/// The filter as an array of struct sock_filter, ready for seccomp(2). An allow-list: a call that
/// is known and refused gives EPERM, an unknown one ENOSYS, a foreign architecture ends the
/// process. x86-64 and aarch64.
base::Result<std::string> make_filter(FilterKind kind);

}  // namespace zorya::function_host
