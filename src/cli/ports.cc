#include "cli/ports.h"

namespace zorya::cli {
namespace {

bool is_busy(const base::Error& error) {
  return error.code == base::Code::kAlreadyExists || error.code == base::Code::kFailedPrecondition;
}

}  // namespace

base::Result<void> start_on_port(const PortWish& wish,
                                 const std::function<base::Result<void>(std::uint16_t)>& start,
                                 const std::function<void(const std::string&)>& say) {
  if (wish.asked) return start(*wish.asked);
  auto started = start(wish.usual);
  if (started || !is_busy(started.error())) return started;
  auto free = start(0);
  if (free)
    say("port " + std::to_string(wish.usual) + " is taken: " + wish.what + " gets a free one");
  return free;
}

}  // namespace zorya::cli
