#pragma once

#include <string_view>

namespace zorya::base {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Writes one line to standard error: time (UTC, milliseconds), level, room, text. Any thread.
/// Never a secret, never a token, never a payload. Newlines in `text` are written as "\n", so that
/// one call is one line.
void log(LogLevel level, std::string_view room, std::string_view text);

/// Lines below `level` are dropped. The start value is kInfo.
void set_log_level(LogLevel level);

}  // namespace zorya::base
