#pragma once

#include <chrono>
#include <string>
#include <string_view>

/// Small words of what is printed, for render.cc and render_status.cc.
namespace zorya::cli {

/// "12.3 ms".
std::string ms_text(std::chrono::microseconds duration);

/// At least `width` wide, filled up with spaces.
std::string padded(std::string text, std::size_t width, bool to_the_right = false);

/// With '?' for control characters but tabs: nothing that is shown can steer the terminal.
std::string harmless(std::string_view text);

}  // namespace zorya::cli
