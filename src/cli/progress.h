#pragma once

#include "cluster/client.h"

#include <chrono>
#include <cstdio>
#include <string>

namespace zorya::cli {

/// "27.3 MiB".
std::string size_text(std::uint64_t size_bytes);

/// Shows how far a copy is: on a terminal one line that is written over, else a line when a step
/// begins, when it ends and now and then; as JSON on standard output, with a percentage. One
/// thread.
class Progress {
 public:
  explicit Progress(bool as_json);
  /// Wipes the terminal's line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void tell(const cluster::CopyProgress& progress);

 private:
  bool as_json_;
  bool is_terminal_;
  std::string step_;
  bool is_at_end_ = false;  // of the step
  std::chrono::steady_clock::time_point last_word_{};
};

}  // namespace zorya::cli
