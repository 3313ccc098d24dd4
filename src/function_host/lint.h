#pragma once

#include <sys/types.h>

#include <string>

namespace zorya::function_host {

/// What the host sees of a process that wants to be cloned.
struct TemplateFindings {
  std::string refusal;  // why it cannot be cloned, in words; empty: it can
  char tmp_mode = 'n';  // how its clones' /tmp begins (sandbox/wire.h)
};

/// Looks at the template's process from outside: threads and writable shared memory cannot be
/// cloned. What its own runtime says of itself is not asked: the process may lie.
TemplateFindings inspect_template(pid_t pid);

}  // namespace zorya::function_host
