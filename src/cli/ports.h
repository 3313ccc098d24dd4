#pragma once

#include "base/result.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace zorya::cli {

/// A port option: what was asked for, and the port if nothing was.
struct PortWish {
  std::optional<std::uint16_t> asked{};  // 0: a free one
  std::uint16_t usual = 0;
  std::string what{};  // "HTTP", for messages
};

/// Calls `start` with the port wished for. A busy port that was asked for is an error; a busy usual
/// one is replaced by a free one, and `say` is told. Whether a port is busy is what `start`
/// answers: kAlreadyExists or kFailedPrecondition.
base::Result<void> start_on_port(const PortWish& wish,
                                 const std::function<base::Result<void>(std::uint16_t)>& start,
                                 const std::function<void(const std::string&)>& say);

}  // namespace zorya::cli
