#pragma once

#include "base/result.h"
#include "pgwire/messages.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace zorya::pgwire {

/// PostgreSQL's own bound for the first packet, which has no type, only a length.
inline constexpr std::uint32_t kStartupBytesMax = 10'000;

enum class StartupKind { kStartup, kSslRequest, kGssEncryptionRequest, kCancelRequest };

/// What a client may send first.
struct StartupPacket {
  StartupKind kind = StartupKind::kStartup;
  std::uint32_t minor_version = 0;                              // kStartup: 3.<minor>
  std::vector<std::pair<std::string, std::string>> parameters;  // kStartup, in the order sent
  BackendKey cancel_key;                                        // kCancelRequest

  /// The last value of that name, as PostgreSQL takes it; empty if there is none.
  [[nodiscard]] std::string_view parameter(std::string_view name) const;
};

/// `body` is what follows the length. kUnimplemented: another protocol than 3.x; kInvalidArgument:
/// malformed.
base::Result<StartupPacket> parse_startup(std::string_view body);

/// The whole packet of kStartup, protocol 3.0.
std::string print_startup(const std::vector<std::pair<std::string, std::string>>& parameters);
std::string print_cancel_request(BackendKey key);

/// The settings in the startup parameter `options`: "-c name=value", "-cname=value",
/// "--name=value"; words are split at white space, a backslash keeps the next character. A '-' in a
/// name becomes '_', as PostgreSQL has it. kUnimplemented for any other switch.
base::Result<std::vector<std::pair<std::string, std::string>>> parse_options(
    std::string_view options);

}  // namespace zorya::pgwire
